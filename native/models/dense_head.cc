#include "models/dense_head.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace dinov3_det {

namespace {

constexpr int64_t kTowerConvs = 2;
constexpr double kPriorProbability = 0.01;

at::Tensor make_weight(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator) {
  at::Tensor weight = at::zeros({out_channels, in_channels, kernel, kernel});
  if (generator.defined()) weight.normal_(0, 0.01, generator);
  return weight;
}

}  // namespace

DenseHead::Tower DenseHead::make_tower(size_t maps, int64_t channels, int64_t columns, double bias,
                                       at::Generator& generator) {
  Tower tower;
  for (int64_t i = 0; i < kTowerConvs; i++) tower.convs.push_back(make_weight(channels, channels, 3, generator));
  for (size_t k = 0; k < maps; k++) {
    std::vector<LayerNorm>& norms = tower.norms.emplace_back();
    for (int64_t i = 0; i < kTowerConvs; i++) norms.push_back(make_layer_norm(channels));
    tower.tops.push_back({make_weight(channels, columns, 1, generator), at::full({columns}, bias)});
  }
  return tower;
}

DenseHead::Tower DenseHead::copy_of(const Tower& tower) {
  Tower copy;
  for (const at::Tensor& conv : tower.convs) copy.convs.push_back(conv.clone());
  for (size_t k = 0; k < tower.norms.size(); k++) {
    std::vector<LayerNorm>& norms = copy.norms.emplace_back();
    for (const auto& [weight, bias] : tower.norms[k]) norms.push_back({weight.clone(), bias.clone()});
    copy.tops.push_back({tower.tops[k].weight.clone(), tower.tops[k].bias.clone()});
  }
  return copy;
}

DenseHead::DenseHead(const std::vector<MapShape>& maps, int64_t num_classes, bool end_to_end, at::Generator& generator)
    : towers_{make_tower(maps.size(), maps[0].channels, num_classes - 1,
                         -std::log((1 - kPriorProbability) / kPriorProbability), generator),
              make_tower(maps.size(), maps[0].channels, 4, 0, generator)} {
  if (end_to_end) one_to_one_ = {copy_of(towers_.classification), copy_of(towers_.regression)};
}

// -> [N, A, columns]
at::Tensor DenseHead::predict(const Tower& tower, const std::vector<at::Tensor>& maps) {
  std::vector<at::Tensor> rows;
  for (size_t k = 0; k < maps.size(); k++) {
    at::Tensor x = maps[k];
    for (size_t i = 0; i < tower.convs.size(); i++) {
      x = norm_and_activate(conv_without_bias(weights_, x, tower.convs[i]), tower.norms[k][i]);
    }
    const at::Tensor out = conv2d(weights_, x.to(at::kFloat), tower.tops[k]);           // [N, columns, h, w]
    rows.push_back(out.permute({0, 2, 3, 1}).reshape({out.size(0), -1, out.size(1)}));  // [N, h * w, columns]
  }
  return at::cat(rows, 1);
}

HeadOutput DenseHead::predict(const Towers& towers, const std::vector<at::Tensor>& maps) {
  const at::Tensor logits = predict(towers.classification, maps);
  return {at::constant_pad_nd(logits, {1, 0}, -std::numeric_limits<double>::infinity()),
          predict(towers.regression, maps)};
}

HeadOutput DenseHead::forward(const std::vector<at::Tensor>& maps) { return predict(towers_, maps); }

HeadOutput DenseHead::forward_one_to_one(const std::vector<at::Tensor>& maps) {
  TORCH_CHECK(one_to_one_, "this head was not made end to end");
  std::vector<at::Tensor> detached;
  for (const at::Tensor& map : maps) detached.push_back(map.detach());
  return predict(*one_to_one_, detached);
}

// mmdet's state_dict has a shared convolution once for each map; here it has the name of the first.
void DenseHead::append_towers(NamedTensors& named, const std::string& prefix, const Towers& towers) {
  const auto add_tower = [&](const std::string& name, const Tower& tower) {
    const std::string convs = prefix + name + "_convs.";
    for (size_t i = 0; i < tower.convs.size(); i++) {
      named.push_back({convs + "0." + std::to_string(i) + ".conv.weight", tower.convs[i]});
    }
    for (size_t k = 0; k < tower.norms.size(); k++) {
      const std::string level = std::to_string(k);
      for (size_t i = 0; i < tower.norms[k].size(); i++) {
        append_layer(named, convs + level + "." + std::to_string(i) + ".gn", tower.norms[k][i]);
      }
      append_layer(named, prefix + "rtm_" + name + "." + level, tower.tops[k]);
    }
  };
  add_tower("cls", towers.classification);
  add_tower("reg", towers.regression);
}

NamedTensors DenseHead::parameters() const {
  NamedTensors named;
  append_towers(named, "", towers_);
  if (one_to_one_) append_towers(named, kOneToOnePrefix, *one_to_one_);
  return named;
}

std::unique_ptr<DetectionHead> make_dense_head(const HeadInput& input, at::Generator& generator) {
  TORCH_CHECK(input.scores == Scoring::kSigmoid, "the scores of a dense head are sigmoids");
  TORCH_CHECK(
      std::ranges::all_of(input.maps, [&](const MapShape& map) { return map.channels == input.maps[0].channels; }),
      "a dense head looks at maps of one number of channels");
  return std::make_unique<DenseHead>(input.maps, input.num_classes, input.end_to_end, generator);
}

}  // namespace dinov3_det
