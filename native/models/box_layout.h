#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/image_size.h"
#include "models/backbone.h"
#include "ops/anchors.h"
#include "ops/box_coder.h"
#include "ops/default_boxes.h"
#include "ops/points.h"

namespace dinov3_det {

// How default boxes lie: SSD's, RetinaNet's anchors, or the points of a dense head.
using BoxConfig = std::variant<DefaultBoxConfig, AnchorConfig, PointConfig>;

// One number for each list of the configuration, of which there may be more than maps.
std::vector<int64_t> boxes_per_location(const BoxConfig& config);

// The default boxes of these maps, on the CPU.
DefaultBoxes lay_out(const BoxConfig& config, const std::vector<MapShape>& maps, const ImageSize& image,
                     const BoxCoding& coding);

}  // namespace dinov3_det
