#pragma once

#include <napi.h>

#include <memory>
#include <string>

namespace dinov3_det {

// An opaque JavaScript object that holds one native T, tagged so that no other object passes for it. T names itself in
// `T::kHandleName` and its tag in `T::kHandleTag`.
template <class T>
class Handle {
 public:
  static Napi::Value create(Napi::Env env, std::shared_ptr<T> value) {
    Napi::Object object = Napi::Object::New(env);
    object.TypeTag(&T::kHandleTag);
    auto* slot = new std::shared_ptr<T>(std::move(value));
    const napi_status status = napi_wrap(
        env, object, slot, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); }, nullptr,
        nullptr);
    if (status != napi_ok) {
      delete slot;
      throw Napi::Error::New(env, "Cannot create a native handle");
    }
    return object;
  }

  // Throws TypeError for anything but a T's handle, and an error of code DISPOSED for one that was given up.
  static std::shared_ptr<T> get(const Napi::Value& value) {
    std::shared_ptr<T> held = *slot(value);
    if (!held) {
      Napi::Error error = Napi::Error::New(value.Env(), std::string(T::kHandleName) + " was used after dispose()");
      error.Set("code", "DISPOSED");
      throw error;
    }
    return held;
  }

  // Gives up the native object; jobs that still use it keep it alive until they end. Safe to repeat.
  static void dispose(const Napi::Value& value) { slot(value)->reset(); }

 private:
  static std::shared_ptr<T>* slot(const Napi::Value& value) {
    void* data = nullptr;
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kHandleTag) ||
        napi_unwrap(value.Env(), value, &data) != napi_ok) {
      throw Napi::TypeError::New(value.Env(), std::string("Expected a native ") + T::kHandleName + " handle");
    }
    return static_cast<std::shared_ptr<T>*>(data);
  }
};

}  // namespace dinov3_det
