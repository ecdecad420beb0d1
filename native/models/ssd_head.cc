#include "models/ssd_head.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

namespace dinov3_det {

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
