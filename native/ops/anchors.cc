#include "ops/anchors.h"

#include <ATen/ATen.h>

namespace dinov3_det {

std::vector<int64_t> anchors_per_location(const AnchorConfig& config) {
  std::vector<int64_t> counts;
  for (const auto& sizes : config.sizes) {
    counts.push_back(static_cast<int64_t>(sizes.size() * config.aspect_ratios.size()));
  }
  return counts;
}

namespace {

at::Tensor floats(const std::vector<double>& values) { return at::tensor(values).to(at::kFloat); }

// Those of one map around the origin: [anchors, 4], sizes innermost.
at::Tensor cell_anchors(const std::vector<double>& sizes, const std::vector<double>& aspect_ratios) {
  const at::Tensor height = floats(aspect_ratios).sqrt();
  const at::Tensor width = height.reciprocal();
  const at::Tensor sides = floats(sizes);
  const at::Tensor corner =
      (at::stack({(width.unsqueeze(1) * sides).flatten(), (height.unsqueeze(1) * sides).flatten()}, 1) / 2).round();
  return at::cat({-corner, corner}, 1);
}

// The centres along one side of the image.
at::Tensor centers(int64_t cells, int64_t side) { return at::arange(cells, at::kFloat) * (side / cells); }

}  // namespace

at::Tensor anchors(const AnchorConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes,
                   int64_t image_width, int64_t image_height) {
  std::vector<at::Tensor> boxes;
  for (size_t k = 0; k < grid_sizes.size(); k++) {
    const auto [height, width] = grid_sizes[k];
    const at::Tensor x = centers(width, image_width).expand({height, width});
    const at::Tensor y = centers(height, image_height).unsqueeze(1).expand({height, width});
    const at::Tensor cells = at::stack({x, y, x, y}, -1).unsqueeze(2);  // [h, w, 1, 4]
    boxes.push_back((cells + cell_anchors(config.sizes[k], config.aspect_ratios)).reshape({-1, 4}));
  }
  return at::cat(boxes, 0);
}

}  // namespace dinov3_det
