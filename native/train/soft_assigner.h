#pragma once

#include <ATen/core/Tensor.h>

#include "data/targets.h"
#include "ops/default_boxes.h"

namespace dinov3_det {

// What each point of a dense head is to learn.
struct SoftAssignment {
  at::Tensor matches;  // [N, A] int64: index of an object, or kBackground
  at::Tensor quality;  // [N, A] float32: IoU of the point's box with that object, 0 for the background
};

struct SoftAssignerOptions {
  int64_t candidates = 13;   // the most points of an object, and of what its number of points is summed up
  double center_radius = 3;  // cells; the cost grows tenfold with each cell beyond
  double iou_weight = 3;
  int64_t points_of_object = 0;           // so many for each, instead of as many as IoUs add up to; 0: none given
  bool nearest_for_pointless = true;      // an object without a point inside it gets the nearest one
  int64_t most_pairs = int64_t{1} << 23;  // of objects and points that are looked at together: 32 MiB for each number
};

// RTMDet's dynamic soft label assigner (Lyu et al. 2022, section 3.3; mmdet's DynamicSoftLabelAssigner). A point stands
// for an object if it lies in it and is among its points of least cost (of classes, box and distance from the centre);
// how many there are, the IoUs of its best candidates add up to. A point that several objects want goes to the one of
// least cost. All shapes are fixed, and nothing waits for the device. However many objects there are, they are looked
// at in groups, with the same result.
//
// logits [N, A, K] with the background's column first, boxes [N, A, 4] decoded, cells: the points with their strides,
// as default boxes. Without gradients.
SoftAssignment assign_softly(const at::Tensor& logits, const at::Tensor& boxes, const Targets& targets,
                             const at::Tensor& cells, const SoftAssignerOptions& options = {});

}  // namespace dinov3_det
