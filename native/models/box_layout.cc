#include "models/box_layout.h"

#include <string>
#include <utility>

#include "base/error.h"

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
  at::Tensor operator()(const PointConfig& config) const {
    check_strides(config);
    return points(config, grids);
  }

  // The corners of a map's cells lie a stride apart.
  void check_strides(const PointConfig& config) const {
    for (size_t k = 0; k < grids.size(); k++) {
      const auto [height, width] = grids[k];
      if (static_cast<double>(width) * config.strides[k] == static_cast<double>(image.width) &&
          static_cast<double>(height) * config.strides[k] == static_cast<double>(image.height)) {
        continue;
      }
      throw Error("WEIGHTS_MISMATCH", "A feature map has " + std::to_string(width) + "x" + std::to_string(height) +
                                          " cells in an image of " + std::to_string(image.width) + "x" +
                                          std::to_string(image.height) +
                                          ", which the strides of the points do not fit. Choose the head ssd");
    }
  }
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
