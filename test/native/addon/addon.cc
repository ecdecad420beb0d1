// The core's operations on plain JavaScript values, for the tests alone: a file for each room of native/. What is
// exported here, test/native/support.ts types.
#include <napi.h>

#include "addon/exports.h"

namespace dinov3_det::test {

static Napi::Object init(Napi::Env, Napi::Object object) {
  Exports exports(object);
  add_ops(exports);
  add_data(exports);
  add_kernels(exports);
  add_memory(exports);
  add_io(exports);
  add_models(exports);
  add_train(exports);
  add_training_probe(exports);
  return object;
}

NODE_API_MODULE(dinov3_det_test, init)

}  // namespace dinov3_det::test
