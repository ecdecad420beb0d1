#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "io/tensor_file.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

std::vector<TensorSpan> tensor_spans(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) {
    const Napi::Object span = each.As<Napi::Object>();
    return TensorSpan{span.Get("name").ToString(), span.Get("dtype").ToString(), numbers<int64_t>(span.Get("shape")),
                      integer(span.Get("offset")), integer(span.Get("byteLength"))};
  });
}

Napi::Value read_tensors_js(const CallbackInfo& info) {
  const NamedTensors tensors = named_tensors(info[2]);
  read_tensors(info[0].ToString(), tensor_spans(info[1]), tensors);
  return from_named(info.Env(), tensors);
}

Napi::Value write_tensors_js(const CallbackInfo& info) {
  write_tensors(info[0].ToString(), tensor_spans(info[1]), named_tensors(info[2]));
  return info.Env().Undefined();
}

}  // namespace

void add_io(Exports& exports) {
  exports.add<read_tensors_js>("readTensors");
  exports.add<write_tensors_js>("writeTensors");
}

}  // namespace dinov3_det::test
