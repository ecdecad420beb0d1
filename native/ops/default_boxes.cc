#include "ops/default_boxes.h"

#include <ATen/ATen.h>

#include <cmath>

namespace dinov3_det {

std::vector<int64_t> default_boxes_per_location(const DefaultBoxConfig& config) {
  std::vector<int64_t> counts;
  for (const auto& ratios : config.aspect_ratios) counts.push_back(2 + 2 * static_cast<int64_t>(ratios.size()));
  return counts;
}

namespace {

// Widths and heights of one map's boxes -> [anchors, 2], relative to the image.
at::Tensor box_shapes(const DefaultBoxConfig& config, size_t k) {
  const double scale = config.scales[k];
  const double next = std::sqrt(scale * config.scales[k + 1]);
  std::vector<float> shapes;
  const auto add = [&](double width, double height) {
    shapes.push_back(static_cast<float>(width));
    shapes.push_back(static_cast<float>(height));
  };
  add(scale, scale);
  add(next, next);
  for (double ratio : config.aspect_ratios[k]) {
    const double root = std::sqrt(ratio);
    add(scale * root, scale / root);
    add(scale / root, scale * root);
  }
  const at::Tensor tensor = at::tensor(shapes).reshape({-1, 2});
  return config.clip ? tensor.clamp(0, 1) : tensor;
}

}  // namespace

at::Tensor default_boxes(const DefaultBoxConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes,
                         int64_t image_width, int64_t image_height) {
  std::vector<at::Tensor> boxes;
  for (size_t k = 0; k < grid_sizes.size(); k++) {
    const auto [height, width] = grid_sizes[k];
    const double cells_x = config.steps.empty() ? static_cast<double>(width) : image_width / config.steps[k];
    const double cells_y = config.steps.empty() ? static_cast<double>(height) : image_height / config.steps[k];
    const at::Tensor x = (at::arange(width, at::kFloat) + 0.5) / cells_x;
    const at::Tensor y = (at::arange(height, at::kFloat) + 0.5) / cells_y;
    const at::Tensor shapes = box_shapes(config, k);
    const int64_t anchors = shapes.size(0);
    const at::Tensor centers = at::stack({x.reshape({1, width, 1}).expand({height, width, anchors}),
                                          y.reshape({height, 1, 1}).expand({height, width, anchors})},
                                         -1);  // [h, w, anchors, 2]
    const at::Tensor half = (0.5 * shapes).reshape({1, 1, anchors, 2});
    boxes.push_back(at::cat({centers - half, centers + half}, -1).reshape({-1, 4}));
  }
  const float width = static_cast<float>(image_width), height = static_cast<float>(image_height);
  return at::cat(boxes, 0) * at::tensor({width, height, width, height});
}

}  // namespace dinov3_det
