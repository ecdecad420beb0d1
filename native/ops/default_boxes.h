#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/box_coder.h"

namespace dinov3_det {

// torchvision's DefaultBoxGenerator (SSD, Liu et al. 2016, section 2.2).
struct DefaultBoxConfig {
  std::vector<std::vector<double>> aspect_ratios;  // one list per head entry
  std::vector<double> scales;                      // aspect_ratios.size() + 1 of them, of the image's side
  std::vector<double> steps;                       // pixels per cell and map; empty: image size / map size
  bool clip = true;                                // clamp width and height (not the corners) to the image
};

// The default boxes of one map: cell after cell, those of a cell around its centre.
struct BoxGrid {
  int64_t cells;
  int64_t boxes_per_cell;
};

// Those of a detector.
struct DefaultBoxes {
  at::Tensor boxes;                 // [A, 4] xyxy in pixels of the image, float32; they may overhang it
  std::vector<BoxGrid> grids = {};  // map after map; of use to ATSS, and to candidates by map
  BoxCoding coding = {};            // of boxes relative to them
};

// 2 + 2 * ratios for each entry.
std::vector<int64_t> default_boxes_per_location(const DefaultBoxConfig& config);

// grid_sizes: {h_k, w_k} of each map -> [A, 4] xyxy in pixels of the image, float32; boxes may overhang it.
at::Tensor default_boxes(const DefaultBoxConfig& config, const std::vector<std::pair<int64_t, int64_t>>& grid_sizes,
                         int64_t image_width, int64_t image_height);

}  // namespace dinov3_det
