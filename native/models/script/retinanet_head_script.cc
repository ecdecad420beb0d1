#include "models/retinanet_head.h"
#include "models/script/script_builder.h"

// The layers of retinanet_head.cc in TorchScript, in modules of torchvision's names.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kRetinaNetHead = R"(
def forward(self, maps: List[Tensor]) -> Tuple[Tensor, Tensor]:
    return self.classification_head.forward(maps), self.regression_head.forward(maps)
)";

constexpr const char* kTowerLayer = R"(
def forward(self, x: Tensor) -> Tensor:
    return torch.relu(getattr(self, "0").forward(x))
)";

// Of what is on top of the tower: [N, anchors * columns, h, w] -> [N, h * w * anchors, columns]
std::string forward_of_tower(const std::string& top) {
  return "def forward(self, maps: List[Tensor]) -> Tensor:\n"
         "    rows: List[Tensor] = []\n"
         "    for x in maps:\n"
         "        y = self." +
         top +
         ".forward(self.conv.forward(x)).permute([0, 2, 3, 1])\n"
         "        count = y.size(1) * y.size(2) * (y.size(3) // self.num_columns)\n"
         "        rows.append(y.reshape([y.size(0), count, self.num_columns]))\n"
         "    return torch.cat(rows, 1)\n";
}

}  // namespace

Module RetinaNetHead::script(ScriptBuilder& builder, size_t) const {
  const auto make = [&](const std::string& name, const std::string& top, const Tower& tower, int64_t columns) {
    std::vector<Module> layers;
    for (const Affine& conv : tower.convs) {
      layers.push_back(builder.make_list("TowerLayer", {script_conv(builder, conv, 1, 1)}, kTowerLayer));
    }
    return builder.make(name,
                        {{"conv", builder.make_sequential("Tower", layers)._ivalue()},
                         {top, script_conv(builder, tower.top, 1, 1)._ivalue()},
                         {"num_columns", columns}},
                        forward_of_tower(top));
  };
  const Module classification = make("ClassificationTower", "cls_logits", classification_, num_classes_);
  const Module regression = make("RegressionTower", "bbox_reg", regression_, 4);
  return builder.make("RetinaNetHead",
                      {{"classification_head", classification._ivalue()}, {"regression_head", regression._ivalue()}},
                      kRetinaNetHead);
}

}  // namespace dinov3_det
