#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// What torchvision's BoxCoder multiplies its codes with: (10, 10, 5, 5) in SSD, (1, 1, 1, 1) in RetinaNet.
struct BoxWeights {
  double center = 10;  // dx and dy
  double size = 5;     // dw and dh
};

// torchvision's BoxCoder. Boxes are xyxy, of any leading shape that broadcasts.
// boxes [..., 4], default_boxes [..., 4] -> (dx, dy, dw, dh) [..., 4]
at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& default_boxes, const BoxWeights& weights = {});

// codes [..., 4], default_boxes [..., 4] -> boxes [..., 4]; dw and dh are clamped from above at ln(1000 / 16) before
// exp.
at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& default_boxes, const BoxWeights& weights = {});

}  // namespace dinov3_det
