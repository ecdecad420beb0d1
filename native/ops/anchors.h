#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

namespace dinov3_det {

// torchvision's AnchorGenerator (RetinaNet, Lin et al. 2017, section 4): on every map each size in each ratio.
struct AnchorConfig {
  std::vector<std::vector<double>> sizes;  // sides of a square of the same area, in pixels; one list per map
  std::vector<double> aspect_ratios;       // height / width
};

// sizes * ratios for each map.
std::vector<int64_t> anchors_per_location(const AnchorConfig& config);

// grid_sizes: {h_k, w_k} of each map -> [A, 4] xyxy in pixels of the image, float32. As in torchvision the corners of
// an anchor at the origin are whole pixels, and the centres lie in the upper left corners of the cells, which are as
// many whole pixels wide as go into the image; anchors may overhang it.
at::Tensor anchors(const AnchorConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes,
                   int64_t image_width, int64_t image_height);

}  // namespace dinov3_det
