#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// boxes1 [..., G, 4], boxes2 [A, 4] or, for each of boxes1 others, [..., G, A, 4], all xyxy -> intersection over union
// [..., G, A], torchvision's box_iou.
at::Tensor box_iou(const at::Tensor& boxes1, const at::Tensor& boxes2);

// Corners clamped into the image.
at::Tensor clip_boxes(const at::Tensor& boxes, int64_t width, int64_t height);

}  // namespace dinov3_det
