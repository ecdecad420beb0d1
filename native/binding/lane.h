#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace dinov3_det {

// The JavaScript error for anything that native code throws; `code` is set for the core's own errors.
Napi::Error to_js_error(Napi::Env env, std::exception_ptr error);

// The one native lane: a long-lived thread that runs jobs in order, so that LibTorch's thread pools exist once and
// libuv's threads stay free. It keeps the process alive only while it has work.
class Lane {
 public:
  explicit Lane(Napi::Env env);
  ~Lane() { stop(); }

  // Drops waiting jobs, lets the running one finish, joins the thread; later jobs are never run. Safe to repeat.
  void stop();

  // Stops, and gives back what the environment lent. To be called once, before the environment goes.
  void close();

  // Runs `work` on the lane, then resolves the promise with `convert(env, result)` on the JavaScript thread.
  template <class Work, class Convert>
  Napi::Value run(Napi::Env env, Work work, Convert convert) {
    using Result = decltype(work());
    const auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    const auto result = std::make_shared<Result>();
    push(env, {[result, work = std::move(work)]() mutable { *result = work(); },
               [result, deferred, convert = std::move(convert)](Napi::Env env, std::exception_ptr error) {
                 try {
                   if (error) std::rethrow_exception(error);
                   deferred->Resolve(convert(env, *result));
                 } catch (...) {
                   deferred->Reject(to_js_error(env, std::current_exception()).Value());
                 }
               }});
    return deferred->Promise();
  }

 private:
  struct Job {
    std::function<void()> work;
    std::function<void(Napi::Env, std::exception_ptr)> settle;
  };

  void push(Napi::Env env, Job job);
  void loop();

  Napi::ThreadSafeFunction to_js_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  size_t pending_ = 0;  // JavaScript thread only
  std::thread thread_;
};

}  // namespace dinov3_det
