#include "models/retinanet_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace dinov3_det {

namespace {

constexpr int64_t kTowerConvs = 4;
constexpr double kPriorProbability = 0.01;

Affine make_conv(int64_t in_channels, int64_t out_channels, at::Generator& generator) {
  at::Tensor weight = at::zeros({out_channels, in_channels, 3, 3});
  if (generator.defined()) weight.normal_(0, 0.01, generator);
  return {weight, at::zeros({out_channels})};
}

}  // namespace

RetinaNetHead::Tower RetinaNetHead::make_tower(int64_t channels, int64_t out_channels, at::Generator& generator) {
  Tower tower;
  for (int64_t i = 0; i < kTowerConvs; i++) tower.convs.push_back(make_conv(channels, channels, generator));
  tower.top = make_conv(channels, out_channels, generator);
  return tower;
}

RetinaNetHead::RetinaNetHead(int64_t in_channels, int64_t anchors_per_location, int64_t num_classes,
                             at::Generator& generator)
    : classification_(make_tower(in_channels, anchors_per_location * num_classes, generator)),
      regression_(make_tower(in_channels, anchors_per_location * 4, generator)),
      num_classes_(num_classes) {
  classification_.top.bias.fill_(-std::log((1 - kPriorProbability) / kPriorProbability));
}

at::Tensor RetinaNetHead::score(const Tower& tower, const std::vector<at::Tensor>& maps, int64_t columns) {
  std::vector<at::Tensor> rows;
  for (at::Tensor x : maps) {
    for (const Affine& conv : tower.convs) x = at::relu(conv2d(weights_, x, conv, 1, 1));
    const at::Tensor out = conv2d(weights_, x.to(at::kFloat), tower.top, 1, 1);     // [N, anchors * columns, h, w]
    rows.push_back(out.permute({0, 2, 3, 1}).reshape({out.size(0), -1, columns}));  // [N, h * w * anchors, columns]
  }
  return at::cat(rows, 1);
}

HeadOutput RetinaNetHead::forward(const std::vector<at::Tensor>& maps) {
  return {score(classification_, maps, num_classes_), score(regression_, maps, 4)};
}

std::unique_ptr<DetectionHead> make_retinanet_head(const HeadInput& input, at::Generator& generator) {
  TORCH_CHECK(input.scores == Scoring::kSigmoid, "expected scores sigmoid for a RetinaNet head but received ",
              name_of(kScorings, input.scores));
  const std::vector<MapShape>& maps = input.maps;
  const std::vector<int64_t>& per_location = input.boxes_per_location;
  TORCH_CHECK(maps.size() <= per_location.size(), "a RetinaNet head needs default boxes for each of ", maps.size(),
              " maps");
  const bool is_fused =
      std::ranges::all_of(maps, [&](const MapShape& map) { return map.channels == maps[0].channels; });
  TORCH_CHECK(is_fused && std::ranges::all_of(per_location, [&](int64_t count) { return count == per_location[0]; }),
              "a RetinaNet head looks at fused maps, with as many default boxes in each cell");
  return std::make_unique<RetinaNetHead>(maps[0].channels, per_location[0], input.num_classes, generator);
}

NamedTensors RetinaNetHead::parameters() const {
  NamedTensors named;
  const auto add_tower = [&](const std::string& prefix, const std::string& top, const Tower& tower) {
    for (size_t i = 0; i < tower.convs.size(); i++) {
      append_layer(named, prefix + "conv." + std::to_string(i) + ".0", tower.convs[i]);
    }
    append_layer(named, prefix + top, tower.top);
  };
  add_tower("classification_head.", "cls_logits", classification_);
  add_tower("regression_head.", "bbox_reg", regression_);
  return named;
}

}  // namespace dinov3_det
