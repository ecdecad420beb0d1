#include "models/layers.h"
#include "models/script/script_builder.h"

// The layers of layers.cc in TorchScript.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kChannelsFirstLayerNorm = R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.layer_norm(x.permute([0, 2, 3, 1]), [x.size(1)], self.weight, self.bias, 1e-6)
    return y.permute([0, 3, 1, 2])
)";

constexpr const char* kConv = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.conv2d(x, self.weight, self.bias, [self.stride, self.stride], [self.padding, self.padding])
)";

}  // namespace

Module script_layer_norm_channels_first(ScriptBuilder& builder, const LayerNorm& norm) {
  return builder.make("ChannelsFirstLayerNorm", {{"weight", norm.weight}, {"bias", norm.bias}},
                      kChannelsFirstLayerNorm);
}

Module script_conv(ScriptBuilder& builder, const Affine& conv, int64_t stride, int64_t padding) {
  return builder.make("Conv", {{"weight", conv.weight}, {"bias", conv.bias}, {"stride", stride}, {"padding", padding}},
                      kConv);
}

}  // namespace dinov3_det
