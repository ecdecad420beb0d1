#include "models/box_layout.h"

#include <utility>

namespace dinov3_det {

namespace {

using GridSizes = std::vector<std::pair<int64_t, int64_t>>;

struct BoxesPerLocation {
  std::vector<int64_t> operator()(const DefaultBoxConfig& config) const { return default_boxes_per_location(config); }
  std::vector<int64_t> operator()(const AnchorConfig& config) const { return anchors_per_location(config); }
  std::vector<int64_t> operator()(const PointConfig& config) const { return points_per_location(config); }
};

struct LayOut {
  const GridSizes& grids;
  const ImageSize& image;

  at::Tensor operator()(const DefaultBoxConfig& config) const {
    return default_boxes(config, grids, image.width, image.height);
  }
  at::Tensor operator()(const AnchorConfig& config) const { return anchors(config, grids, image.width, image.height); }
  at::Tensor operator()(const PointConfig& config) const { return points(config, grids); }
};

}  // namespace

std::vector<int64_t> boxes_per_location(const BoxConfig& config) { return std::visit(BoxesPerLocation{}, config); }

DefaultBoxes lay_out(const BoxConfig& config, const std::vector<MapShape>& maps, const ImageSize& image,
                     const BoxCoding& coding) {
  const std::vector<int64_t> per_location = boxes_per_location(config);
  GridSizes sizes;
  std::vector<BoxGrid> grids;
  for (size_t k = 0; k < maps.size(); k++) {
    sizes.emplace_back(maps[k].height, maps[k].width);
    grids.push_back({maps[k].height * maps[k].width, per_location[k]});
  }
  return {std::visit(LayOut{sizes, image}, config), grids, coding};
}

}  // namespace dinov3_det
