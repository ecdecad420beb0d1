#include "models/convnext.h"
#include "models/script/script_builder.h"

// The layers of convnext.cc in TorchScript, in modules of the released names.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kConvNext = R"(
def forward(self, images: Tensor) -> Tensor:
    x = images.contiguous(memory_format=2)  # channels_last
    x = getattr(self.stages, "0").forward(getattr(self.downsample_layers, "0").forward(x))
    x = getattr(self.stages, "1").forward(getattr(self.downsample_layers, "1").forward(x))
    x = getattr(self.stages, "2").forward(getattr(self.downsample_layers, "2").forward(x))
    x = getattr(self.stages, "3").forward(getattr(self.downsample_layers, "3").forward(x))
    return self.norm.forward(x)
)";

constexpr const char* kConvNextPyramid = R"(
def forward(self, images: Tensor) -> List[Tensor]:
    x = images.contiguous(memory_format=2)  # channels_last
    x = getattr(self.stages, "0").forward(getattr(self.downsample_layers, "0").forward(x))
    x1 = getattr(self.stages, "1").forward(getattr(self.downsample_layers, "1").forward(x))
    x2 = getattr(self.stages, "2").forward(getattr(self.downsample_layers, "2").forward(x1))
    x3 = getattr(self.stages, "3").forward(getattr(self.downsample_layers, "3").forward(x2))
    return [getattr(self.norms, "1").forward(x1), getattr(self.norms, "2").forward(x2), self.norm.forward(x3)]
)";

constexpr const char* kBlock = R"(
def forward(self, x: Tensor) -> Tensor:
    y = self.norm.forward(self.dwconv.forward(x).permute([0, 2, 3, 1]))  # [N, H, W, C]
    y = self.pwconv2.forward(torch.gelu(self.pwconv1.forward(y))) * self.gamma
    return x + y.permute([0, 3, 1, 2])  # [N, C, H, W]
)";

constexpr const char* kStridedConv = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.conv2d(x, self.weight, self.bias, [self.weight.size(2), self.weight.size(3)])
)";

constexpr const char* kDepthwiseConv = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.conv2d(x, self.weight, self.bias, [1, 1], [3, 3], [1, 1], x.size(1))
)";

constexpr const char* kLinear = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
)";

constexpr const char* kLayerNorm = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.layer_norm(x, [x.size(-1)], self.weight, self.bias, 1e-6)
)";

}  // namespace

Module ConvNext::script(ScriptBuilder& builder) const {
  const auto make = [&](const std::string& name, const auto& layer, const char* methods) {
    return builder.make(name, {{"weight", layer.weight}, {"bias", layer.bias}}, methods);
  };
  const auto make_block = [&](const Block& block) {
    return builder.make("ConvNextBlock",
                        {{"gamma", block.gamma},
                         {"dwconv", make("DepthwiseConv", block.dwconv, kDepthwiseConv)._ivalue()},
                         {"norm", make("LayerNorm", block.norm, kLayerNorm)._ivalue()},
                         {"pwconv1", make("Linear", block.pwconv1, kLinear)._ivalue()},
                         {"pwconv2", make("Linear", block.pwconv2, kLinear)._ivalue()}},
                        kBlock);
  };
  std::vector<Module> downsample_layers, stages;
  for (const Stage& stage : stages_) {
    const Module conv = make("StridedConv", stage.downsample_conv, kStridedConv);
    const Module norm = script_layer_norm_channels_first(builder, stage.downsample_norm);
    downsample_layers.push_back(stages.empty() ? builder.make_sequential("Stem", {conv, norm})
                                               : builder.make_sequential("Downsample", {norm, conv}));
    std::vector<Module> blocks;
    for (const Block& block : stage.blocks) blocks.push_back(make_block(block));
    stages.push_back(builder.make_sequential("StageOf" + std::to_string(blocks.size()), blocks));
  }
  const auto norm_of = [&](size_t stage) {
    return script_layer_norm_channels_first(builder, *stages_[stage].norm)._ivalue();
  };
  std::vector<ScriptMember> members{
      {"downsample_layers", builder.make_list("DownsampleLayers", downsample_layers)._ivalue()},
      {"stages", builder.make_list("Stages", stages)._ivalue()},
      {"norm", norm_of(3)}};
  if (!stages_[1].norm) return builder.make("ConvNext", members, kConvNext);
  members.push_back({"norms", builder.make("Norms", {{"1", norm_of(1)}, {"2", norm_of(2)}})._ivalue()});
  return builder.make("ConvNext", members, kConvNextPyramid);
}

}  // namespace dinov3_det
