#pragma once

#include <c10/util/Exception.h>
#include <napi.h>

#include "base/error.h"

namespace dinov3_det::test {

// The functions of the test addon.
class Exports {
 public:
  explicit Exports(Napi::Object& object) : object_(object) {}

  template <Napi::Value (*function)(const Napi::CallbackInfo&)>
  void add(const char* name) {
    object_.Set(name, Napi::Function::New(object_.Env(), guarded<function>, name));
  }

 private:
  // The core's exceptions as JavaScript errors, with the code of those that have one.
  template <Napi::Value (*function)(const Napi::CallbackInfo&)>
  static Napi::Value guarded(const Napi::CallbackInfo& info) {
    try {
      return function(info);
    } catch (const Error& typed) {
      Napi::Error error = Napi::Error::New(info.Env(), typed.what());
      error.Set("code", typed.code());
      throw error;
    } catch (const c10::Error& torch_error) {
      throw Napi::Error::New(info.Env(), torch_error.what_without_backtrace());
    }
  }

  Napi::Object& object_;
};

// Those of each room of native/.
void add_ops(Exports& exports);
void add_data(Exports& exports);
void add_kernels(Exports& exports);
void add_memory(Exports& exports);
void add_io(Exports& exports);
void add_models(Exports& exports);
void add_train(Exports& exports);
void add_training_probe(Exports& exports);

}  // namespace dinov3_det::test
