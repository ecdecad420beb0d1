#include "models/ssd_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace dinov3_det {

namespace {

// RetinaNet (Lin et al. 2017, section 4.1): the score that every default box starts with when each is trained on.
constexpr double kPriorProbability = 0.01;

// One entry per list of aspect ratios; entries beyond the maps repeat the last map's channels, as the article builds
// its head.
std::vector<int64_t> head_channels(const std::vector<MapShape>& maps, size_t entries) {
  if (maps.size() > entries) {
    throw Error("WEIGHTS_MISMATCH", "The backbone returns " + std::to_string(maps.size()) +
                                        " feature maps but the SSD head has " + std::to_string(entries) +
                                        " entries; give one list of aspect ratios per map");
  }
  std::vector<int64_t> channels;
  for (size_t k = 0; k < entries; k++) channels.push_back(maps[std::min(k, maps.size() - 1)].channels);
  return channels;
}

}  // namespace

std::unique_ptr<DetectionHead> make_ssd_head(const HeadInput& input, at::Generator& generator) {
  const std::optional<double> prior =
      input.scores == Scoring::kSigmoid ? std::optional(kPriorProbability) : std::nullopt;
  return std::make_unique<SsdHead>(head_channels(input.maps, input.boxes_per_location.size()), input.boxes_per_location,
                                   input.num_classes, generator, prior);
}

SsdHead::SsdHead(const std::vector<int64_t>& in_channels, const std::vector<int64_t>& anchors_per_location,
                 int64_t num_classes, at::Generator& generator, std::optional<double> prior)
    : num_classes_(num_classes) {
  for (size_t k = 0; k < in_channels.size(); k++) {
    const int64_t anchors = anchors_per_location[k];
    classification_.push_back(make_xavier_conv(in_channels[k], anchors * num_classes, 3, generator));
    if (prior) classification_[k].bias.fill_(-std::log((1 - *prior) / *prior));
    regression_.push_back(make_xavier_conv(in_channels[k], anchors * 4, 3, generator));
  }
}

HeadOutput SsdHead::forward(const std::vector<at::Tensor>& maps) {
  std::vector<at::Tensor> logits, regression;
  const auto flatten = [this](const at::Tensor& map, const Affine& conv, int64_t columns) {
    const at::Tensor out = conv2d(weights_, map, conv, 1, 1);              // [N, anchors * columns, h, w]
    return out.permute({0, 2, 3, 1}).reshape({map.size(0), -1, columns});  // [N, h * w * anchors, columns]
  };
  for (size_t k = 0; k < maps.size(); k++) {
    const at::Tensor map = maps[k].to(at::kFloat);
    logits.push_back(flatten(map, classification_[k], num_classes_));
    regression.push_back(flatten(map, regression_[k], 4));
  }
  return {at::cat(logits, 1), at::cat(regression, 1)};
}

NamedTensors SsdHead::parameters() const {
  NamedTensors named;
  const auto add = [&](const std::string& prefix, const std::vector<Affine>& convs) {
    for (size_t k = 0; k < convs.size(); k++) append_layer(named, prefix + std::to_string(k), convs[k]);
  };
  add("classification_head.module_list.", classification_);
  add("regression_head.module_list.", regression_);
  return named;
}

}  // namespace dinov3_det
