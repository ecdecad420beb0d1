#include "ops/points.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

namespace dinov3_det {

std::vector<int64_t> points_per_location(const PointConfig& config) {
  return std::vector<int64_t>(config.strides.size(), 1);
}

at::Tensor points(const PointConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes) {
  TORCH_CHECK(grid_sizes.size() <= config.strides.size(), "expected a stride for each of ", grid_sizes.size(), " maps");
  std::vector<at::Tensor> cells;
  for (size_t k = 0; k < grid_sizes.size(); k++) {
    const auto [height, width] = grid_sizes[k];
    const double stride = config.strides[k];
    const at::Tensor x = (at::arange(width, at::kFloat) * stride).expand({height, width}).flatten();
    const at::Tensor y = (at::arange(height, at::kFloat) * stride).unsqueeze(1).expand({height, width}).flatten();
    cells.push_back(at::stack({x, y, x + stride, y + stride}, 1));
  }
  return at::cat(cells);
}

}  // namespace dinov3_det
