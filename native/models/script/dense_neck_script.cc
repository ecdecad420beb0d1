#include "models/dense_neck.h"
#include "models/script/script_builder.h"

// The layers of dense_neck.cc in TorchScript, in modules of mmdet's names.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kBlock = R"(
def forward(self, x: Tensor) -> Tensor:
    return self.conv2.forward(self.conv1.forward(x))
)";

constexpr const char* kSeparable = R"(
def forward(self, x: Tensor) -> Tensor:
    return self.pointwise_conv.forward(self.depthwise_conv.forward(x))
)";

constexpr const char* kCsp = R"(
def forward(self, x: Tensor) -> Tensor:
    return self.final_conv.forward(torch.cat([self.blocks.forward(self.main_conv.forward(x)), self.short_conv.forward(x)], 1))
)";

constexpr const char* kForward = R"(
    top = getattr(self.reduce_layers, "0").forward(maps[2])
    up = torch.upsample_nearest2d(top, maps[1].size()[2:])
    middle = getattr(self.reduce_layers, "1").forward(getattr(self.top_down_blocks, "0").forward(torch.cat([up, maps[1]], 1)))
    up = torch.upsample_nearest2d(middle, maps[0].size()[2:])
    fine = getattr(self.top_down_blocks, "1").forward(torch.cat([up, maps[0]], 1))
    down = getattr(self.downsamples, "0").forward(fine)
    coarser = getattr(self.bottom_up_blocks, "0").forward(torch.cat([down, middle], 1))
    down = getattr(self.downsamples, "1").forward(coarser)
    coarsest = getattr(self.bottom_up_blocks, "1").forward(torch.cat([down, top], 1))
    return [getattr(self.out_convs, "0").forward(fine), getattr(self.out_convs, "1").forward(coarser), getattr(self.out_convs, "2").forward(coarsest)]
)";

std::string forward_of(size_t projections) {
  std::string text = "def forward(self, maps: List[Tensor]) -> List[Tensor]:\n";
  if (projections == 0) return text + kForward;
  text += "    maps = [";
  for (size_t k = 0; k < projections; k++) {
    const std::string index = std::to_string(k);
    text += "getattr(self.projections, \"" + index + "\").forward(maps[" + index + "]), ";
  }
  return text + "]\n" + kForward;
}

}  // namespace

Module DenseNeck::script_csp(ScriptBuilder& builder, const Csp& csp) {
  std::vector<Module> blocks;
  for (const Block& block : csp.blocks) {
    const Module separable = builder.make("Separable",
                                          {{"depthwise_conv", script_conv_norm(builder, block.depthwise)._ivalue()},
                                           {"pointwise_conv", script_conv_norm(builder, block.pointwise)._ivalue()}},
                                          kSeparable);
    blocks.push_back(builder.make(
        "Block", {{"conv1", script_conv_norm(builder, block.conv1)._ivalue()}, {"conv2", separable._ivalue()}},
        kBlock));
  }
  return builder.make("Csp",
                      {{"main_conv", script_conv_norm(builder, csp.main)._ivalue()},
                       {"short_conv", script_conv_norm(builder, csp.shortcut)._ivalue()},
                       {"final_conv", script_conv_norm(builder, csp.final)._ivalue()},
                       {"blocks", builder.make_sequential("Blocks", blocks)._ivalue()}},
                      kCsp);
}

Module DenseNeck::script(ScriptBuilder& builder) const {
  const auto list = [&](const std::string& name, const std::vector<ConvNorm>& layers) {
    std::vector<Module> modules;
    for (const ConvNorm& layer : layers) modules.push_back(script_conv_norm(builder, layer));
    return builder.make_list(name, modules)._ivalue();
  };
  const auto csps = [&](const std::string& name, const std::vector<Csp>& all) {
    std::vector<Module> modules;
    for (const Csp& csp : all) modules.push_back(script_csp(builder, csp));
    return builder.make_list(name, modules)._ivalue();
  };
  return builder.make("DenseNeck",
                      {{"projections", list("Projections", projections_)},
                       {"reduce_layers", list("ReduceLayers", reduce_)},
                       {"top_down_blocks", csps("TopDownBlocks", top_down_)},
                       {"downsamples", list("Downsamples", downsamples_)},
                       {"bottom_up_blocks", csps("BottomUpBlocks", bottom_up_)},
                       {"out_convs", list("OutConvs", out_)}},
                      forward_of(projections_.size()));
}

}  // namespace dinov3_det
