#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// How the code of a box stands for it.
struct BoxCoding {
  // kOffsets: torchvision's BoxCoder, (dx, dy, dw, dh) relative to a default box, multiplied by the two numbers below.
  // kDistances: the logarithms of the distances of a box's four sides from a point, in cells. The point and its cell's
  // size are the upper left corner and the size of the default box (mmdet's DistancePointBBoxCoder).
  enum class Kind { kOffsets, kDistances };

  Kind kind = Kind::kOffsets;
  double center = 10;  // of dx and dy: 10 in SSD, 1 in RetinaNet
  double size = 5;     // of dw and dh: 5 in SSD, 1 in RetinaNet

  static constexpr BoxCoding offsets(double center, double size) { return {Kind::kOffsets, center, size}; }
  static constexpr BoxCoding distances() { return {Kind::kDistances, 1, 1}; }
};

// Boxes are xyxy, of any leading shape that broadcasts. boxes [..., 4], default_boxes [..., 4] -> codes [..., 4]; a
// side on the wrong side of the point has no distance, so distances take boxes that hold the point.
at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& default_boxes, const BoxCoding& coding = {});

// codes [..., 4], default_boxes [..., 4] -> boxes [..., 4]; before exp, dw and dh are clamped from above at
// ln(1000 / 16), and distances at 10.
at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& default_boxes, const BoxCoding& coding = {});

}  // namespace dinov3_det
