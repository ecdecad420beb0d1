#include "models/script/script_builder.h"
#include "models/ssd_head.h"

// The layers of ssd_head.cc in TorchScript, in modules of torchvision's names.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kSsdHead = R"(
def forward(self, maps: List[Tensor]) -> Tuple[Tensor, Tensor]:
    return self.classification_head.forward(maps), self.regression_head.forward(maps)
)";

constexpr const char* kScoringHead = R"(
def forward(self, maps: List[Tensor]) -> Tensor:
    return torch.cat(self.module_list.forward(maps), 1)
)";

// [N, C, h, w] -> [N, h * w * anchors, columns]
constexpr const char* kHeadConv = R"(
def forward(self, x: Tensor) -> Tensor:
    y = torch.conv2d(x, self.weight, self.bias, [1, 1], [1, 1]).permute([0, 2, 3, 1])
    rows = y.size(1) * y.size(2) * (y.size(3) // self.num_columns)
    return y.reshape([y.size(0), rows, self.num_columns])
)";

// The i-th convolution for the i-th map; there may be more convolutions than maps.
std::string forward_of_list(size_t maps) {
  std::string calls;
  for (size_t i = 0; i < maps; i++) {
    const std::string index = std::to_string(i);
    calls += "getattr(self, \"" + index + "\").forward(maps[" + index + "]), ";
  }
  return "def forward(self, maps: List[Tensor]) -> List[Tensor]:\n    return [" + calls + "]\n";
}

}  // namespace

Module SsdHead::script(ScriptBuilder& builder, size_t maps) const {
  const auto make = [&](const std::vector<Affine>& convs, int64_t columns) {
    std::vector<Module> modules;
    for (const Affine& conv : convs) {
      modules.push_back(builder.make(
          "HeadConv", {{"weight", conv.weight}, {"bias", conv.bias}, {"num_columns", columns}}, kHeadConv));
    }
    const Module list = builder.make_list("HeadConvs", modules, forward_of_list(maps));
    return builder.make("ScoringHead", {{"module_list", list._ivalue()}}, kScoringHead);
  };
  return builder.make("SsdHead",
                      {{"classification_head", make(classification_, num_classes_)._ivalue()},
                       {"regression_head", make(regression_, 4)._ivalue()}},
                      kSsdHead);
}

}  // namespace dinov3_det
