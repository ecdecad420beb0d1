#include "models/dense_head.h"
#include "models/script/script_builder.h"

// The layers of dense_head.cc in TorchScript.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kDenseHead = R"(
def forward(self, maps: List[Tensor]) -> Tuple[Tensor, Tensor]:
    logits = torch.constant_pad_nd(self.cls.forward(maps), [1, 0], -float("inf"))
    return logits, self.reg.forward(maps)
)";

constexpr const char* kTowerLayer = R"(
def forward(self, x: Tensor) -> Tensor:
    return self.gn.forward(self.conv.forward(x))
)";

// Of one map: [N, C, h, w] -> [N, h * w, columns]
constexpr const char* kLevel = R"(
def forward(self, x: Tensor) -> Tensor:
    y = self.top.forward(self.convs.forward(x))
    return y.permute([0, 2, 3, 1]).reshape([y.size(0), y.size(2) * y.size(3), y.size(1)])
)";

std::string forward_of(size_t maps) {
  std::string rows;
  for (size_t k = 0; k < maps; k++) {
    const std::string level = std::to_string(k);
    rows += "getattr(self, \"" + level + "\").forward(maps[" + level + "]), ";
  }
  return "def forward(self, maps: List[Tensor]) -> Tensor:\n    return torch.cat([" + rows + "], 1)\n";
}

}  // namespace

Module DenseHead::script_towers(ScriptBuilder& builder, size_t maps, const Towers& towers) {
  const auto make = [&](const std::string& name, const Tower& tower) {
    std::vector<Module> levels;
    for (size_t k = 0; k < maps; k++) {
      std::vector<Module> layers;
      for (size_t i = 0; i < tower.convs.size(); i++) {
        layers.push_back(builder.make("DenseTowerLayer",
                                      {{"conv", script_conv_without_bias(builder, tower.convs[i])._ivalue()},
                                       {"gn", script_group_norm(builder, tower.norms[k][i])._ivalue()}},
                                      kTowerLayer));
      }
      levels.push_back(builder.make("DenseLevel",
                                    {{"convs", builder.make_sequential("DenseConvs", layers)._ivalue()},
                                     {"top", script_conv(builder, tower.tops[k], 1, 0)._ivalue()}},
                                    kLevel));
    }
    return builder.make_list(name, levels, forward_of(maps));
  };
  return builder.make("DenseHead",
                      {{"cls", make("DenseClasses", towers.classification)._ivalue()},
                       {"reg", make("DenseBoxes", towers.regression)._ivalue()}},
                      kDenseHead);
}

Module DenseHead::script(ScriptBuilder& builder, size_t maps) const { return script_towers(builder, maps, towers_); }

Module DenseHead::script_one_to_one(ScriptBuilder& builder, size_t maps) const {
  TORCH_CHECK(one_to_one_, "this head was not made end to end");
  return script_towers(builder, maps, *one_to_one_);
}

}  // namespace dinov3_det
