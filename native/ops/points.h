#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

namespace dinov3_det {

// The points of a dense head (mmdet's MlvlPointGenerator with offset 0): one for each cell of each map, in its upper
// left corner.
struct PointConfig {
  std::vector<double> strides;  // pixels per cell, one for each map
};

// One for each map.
std::vector<int64_t> points_per_location(const PointConfig& config);

// grid_sizes: {h_k, w_k} of each map -> the cells [A, 4] xyxy in pixels of the image, float32, whose upper left corners
// are the points.
at::Tensor points(const PointConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes);

}  // namespace dinov3_det
