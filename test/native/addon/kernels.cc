#include <c10/core/InferenceMode.h>

#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "kernels/depthwise_conv.h"
#include "kernels/residual_mlp.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

Napi::Value depthwise_conv_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 1);
  return with_gradients(info, in, [&] { return depthwise_conv(in[0], in[1], in[2]); }, to_tensor(info[2]));
}

Napi::Value residual_mlp_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 2);
  const ResidualMlp mlp{in[2], in[3], in[4], in[5], in[6], in[7], in[8]};
  return with_gradients(info, in, [&] { return residual_mlp(in[0], in[1], mlp, 1e-6); }, to_tensor(info[2]));
}

// The same without a gradient.
Napi::Value residual_mlp_forward_js(const CallbackInfo& info) {
  const c10::InferenceMode inference;
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 2);
  return from_tensor(info.Env(), residual_mlp(in[0], in[1], {in[2], in[3], in[4], in[5], in[6], in[7], in[8]}, 1e-6));
}

}  // namespace

void add_kernels(Exports& exports) {
  exports.add<depthwise_conv_js>("depthwiseConv");
  exports.add<residual_mlp_js>("residualMlp");
  exports.add<residual_mlp_forward_js>("residualMlpForward");
}

}  // namespace dinov3_det::test
