#include "models/ssd_head.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

namespace dinov3_det {

SsdHead::Conv SsdHead::make_conv(int64_t in_channels, int64_t out_channels, at::Generator& generator) {
  constexpr int64_t kKernel = 3;
  const double bound = std::sqrt(6.0 / (kKernel * kKernel * static_cast<double>(in_channels + out_channels)));
  at::Tensor weight = at::zeros({out_channels, in_channels, kKernel, kKernel});
  if (generator.defined()) weight.uniform_(-bound, bound, generator);
  return {weight, at::zeros({out_channels})};
}

SsdHead::SsdHead(const std::vector<int64_t>& in_channels, const std::vector<int64_t>& anchors_per_location,
                 int64_t num_classes, at::Generator& generator, std::optional<double> prior)
    : num_classes_(num_classes) {
  for (size_t k = 0; k < in_channels.size(); k++) {
    classification_.push_back(make_conv(in_channels[k], anchors_per_location[k] * num_classes, generator));
    if (prior) classification_[k].bias.fill_(-std::log((1 - *prior) / *prior));
    regression_.push_back(make_conv(in_channels[k], anchors_per_location[k] * 4, generator));
  }
}

HeadOutput SsdHead::forward(const std::vector<at::Tensor>& maps) const {
  std::vector<at::Tensor> logits, regression;
  const auto flatten = [](const at::Tensor& map, const Conv& conv, int64_t columns) {
    const at::Tensor out = at::conv2d(map, conv.weight, conv.bias, 1, 1);  // [N, anchors * columns, h, w]
    return out.permute({0, 2, 3, 1}).reshape({map.size(0), -1, columns});  // [N, h * w * anchors, columns]
  };
  for (size_t k = 0; k < maps.size(); k++) {
    logits.push_back(flatten(maps[k], classification_[k], num_classes_));
    regression.push_back(flatten(maps[k], regression_[k], 4));
  }
  return {at::cat(logits, 1), at::cat(regression, 1)};
}

NamedTensors SsdHead::parameters() const {
  NamedTensors named;
  const auto add = [&](const std::string& prefix, const std::vector<Conv>& convs) {
    for (size_t k = 0; k < convs.size(); k++) {
      named.push_back({prefix + std::to_string(k) + ".weight", convs[k].weight});
      named.push_back({prefix + std::to_string(k) + ".bias", convs[k].bias});
    }
  };
  add("classification_head.module_list.", classification_);
  add("regression_head.module_list.", regression_);
  return named;
}

}  // namespace dinov3_det
