#include "models/feature_pyramid.h"
#include "models/script/script_builder.h"

// The layers of feature_pyramid.cc in TorchScript.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kUpsample = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.gelu(self.norm.forward(self.deconv.forward(x)))
)";

constexpr const char* kDeconv = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.conv_transpose2d(x, self.weight, self.bias, [2, 2])
)";

constexpr const char* kExtra = R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.gelu(self.reduce_norm.forward(self.reduce.forward(x)))
    return torch.gelu(self.norm.forward(self.conv.forward(y)))
)";

std::string call(const std::string& list, size_t index, const std::string& argument) {
  return "getattr(self." + list + ", \"" + std::to_string(index) + "\").forward(" + argument + ")";
}

std::string forward_of(size_t upsamples, size_t fused, size_t extras, const std::vector<std::string>& extra_blocks) {
  std::string text = "def forward(self, maps: List[Tensor]) -> List[Tensor]:\n";
  for (size_t i = 0; i < upsamples; i++) text += "    maps = [" + call("upsamples", i, "maps[0]") + "] + maps\n";
  std::string outputs;
  for (size_t k = fused; k-- > 0;) {
    const std::string index = std::to_string(k), coarser = "inner" + std::to_string(k + 1);
    text += "    inner" + index + " = " + call("inner_blocks", k, "maps[" + index + "]") + "\n";
    if (k + 1 < fused) {
      text += "    inner" + index + " = inner" + index + " + torch.upsample_nearest2d(" + coarser + ", inner" + index +
              ".size()[2:])\n";
    }
    outputs = call("layer_blocks", k, "inner" + index) + ", " + outputs;
  }
  if (fused > 0) text += "    maps = [" + outputs + "]\n";
  for (size_t i = 0; i < extras; i++) text += "    maps = maps + [" + call("extras", i, "maps[-1]") + "]\n";
  for (size_t i = 0; i < extra_blocks.size(); i++) {
    const std::string x = i == 0 ? "maps[-1]" : "torch.relu(maps[-1])";
    text += "    maps = maps + [self.extra_blocks." + extra_blocks[i] + ".forward(" + x + ")]\n";
  }
  return text + "    return maps\n";
}

}  // namespace

Module FeaturePyramid::script(ScriptBuilder& builder) const {
  std::vector<Module> upsamples, inner_blocks, layer_blocks, extras;
  for (const Upsample& layer : upsamples_) {
    const Module deconv =
        builder.make("Deconv", {{"weight", layer.deconv.weight}, {"bias", layer.deconv.bias}}, kDeconv);
    const Module norm = script_layer_norm_channels_first(builder, layer.norm);
    upsamples.push_back(builder.make("Upsample", {{"deconv", deconv._ivalue()}, {"norm", norm._ivalue()}}, kUpsample));
  }
  for (const Affine& conv : inner_blocks_) inner_blocks.push_back(script_conv(builder, conv, 1, 0));
  for (const Affine& conv : layer_blocks_) layer_blocks.push_back(script_conv(builder, conv, 1, 1));
  for (const Extra& layer : extras_) {
    extras.push_back(
        builder.make("Extra",
                     {{"reduce", script_conv(builder, layer.reduce, 1, 0)._ivalue()},
                      {"reduce_norm", script_layer_norm_channels_first(builder, layer.reduce_norm)._ivalue()},
                      {"conv", script_conv(builder, layer.conv, 2, 1)._ivalue()},
                      {"norm", script_layer_norm_channels_first(builder, layer.norm)._ivalue()}},
                     kExtra));
  }
  std::vector<ScriptMember> extra_blocks;
  std::vector<std::string> extra_block_names;
  for (size_t i = 0; i < extra_blocks_.size(); i++) {
    extra_block_names.push_back(extra_block_name(i));
    extra_blocks.push_back({extra_block_names[i], script_conv(builder, extra_blocks_[i], 2, 1)._ivalue()});
  }
  return builder.make("FeaturePyramid",
                      {{"upsamples", builder.make_list("Upsamples", upsamples)._ivalue()},
                       {"inner_blocks", builder.make_list("InnerBlocks", inner_blocks)._ivalue()},
                       {"layer_blocks", builder.make_list("LayerBlocks", layer_blocks)._ivalue()},
                       {"extras", builder.make_list("Extras", extras)._ivalue()},
                       {"extra_blocks", builder.make("ExtraBlocks", extra_blocks)._ivalue()}},
                      forward_of(upsamples_.size(), inner_blocks_.size(), extras_.size(), extra_block_names));
}

}  // namespace dinov3_det
