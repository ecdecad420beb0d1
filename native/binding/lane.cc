#include "binding/lane.h"

#include <c10/util/Exception.h>

#include "base/error.h"

namespace dinov3_det {

Napi::Error to_js_error(Napi::Env env, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Napi::Error& js_error) {
    return js_error;
  } catch (const Error& typed) {
    Napi::Error js_error = Napi::Error::New(env, typed.what());
    js_error.Set("code", typed.code());
    return js_error;
  } catch (const c10::Error& torch_error) {
    return Napi::Error::New(env, torch_error.what_without_backtrace());  // what() carries a C++ backtrace
  } catch (const std::exception& other) {
    return Napi::Error::New(env, other.what());
  } catch (...) {
    return Napi::Error::New(env, "unknown native error");
  }
}

Lane::Lane(Napi::Env env)
    : to_js_(Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                                           "dinov3-det lane", 0, 1)),
      thread_([this] { loop(); }) {
  to_js_.Unref(env);
}

void Lane::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  wake_.notify_one();
  thread_.join();
}

void Lane::close() {
  stop();
  to_js_.Release();
}

void Lane::push(Napi::Env env, Job job) {
  if (pending_++ == 0) to_js_.Ref(env);
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Lane::loop() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    std::exception_ptr error;
    try {
      job.work();
    } catch (...) {
      error = std::current_exception();
    }
    job.work = nullptr;  // what the work holds is freed here, not on the JavaScript thread
    to_js_.NonBlockingCall([this, settle = std::move(job.settle), error](Napi::Env env, Napi::Function) {
      if (--pending_ == 0) to_js_.Unref(env);
      settle(env, error);
    });
  }
}

}  // namespace dinov3_det
