#include "models/conv_norm.h"
#include "models/script/script_builder.h"

// The layers of conv_norm.cc in TorchScript, in modules of mmdet's names.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kConvWithoutBias = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.conv2d(x, self.weight, None, [self.stride, self.stride], [self.padding, self.padding], [1, 1], self.groups)
)";

constexpr const char* kGroupNormSilu = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.silu(torch.group_norm(x, self.groups, self.weight, self.bias, 1e-5))
)";

constexpr const char* kConvNorm = R"(
def forward(self, x: Tensor) -> Tensor:
    return self.gn.forward(self.conv.forward(x))
)";

}  // namespace

Module script_conv_without_bias(ScriptBuilder& builder, const at::Tensor& weight, int64_t stride, int64_t groups) {
  return builder.make("ConvWithoutBias",
                      {{"weight", weight}, {"stride", stride}, {"padding", weight.size(2) / 2}, {"groups", groups}},
                      kConvWithoutBias);
}

Module script_group_norm(ScriptBuilder& builder, const LayerNorm& norm) {
  return builder.make("GroupNorm",
                      {{"weight", norm.weight}, {"bias", norm.bias}, {"groups", norm_groups(norm.weight.size(0))}},
                      kGroupNormSilu);
}

Module script_conv_norm(ScriptBuilder& builder, const ConvNorm& layer) {
  return builder.make("ConvNorm",
                      {{"conv", script_conv_without_bias(builder, layer.weight, layer.stride, layer.groups)._ivalue()},
                       {"gn", script_group_norm(builder, layer.norm)._ivalue()}},
                      kConvNorm);
}

}  // namespace dinov3_det
