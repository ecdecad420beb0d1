#include "ops/boxes.h"

#include <ATen/ATen.h>

namespace dinov3_det {

namespace {

at::Tensor box_area(const at::Tensor& boxes) {
  return (boxes.select(-1, 2) - boxes.select(-1, 0)) * (boxes.select(-1, 3) - boxes.select(-1, 1));
}

}  // namespace

at::Tensor box_iou(const at::Tensor& boxes1, const at::Tensor& boxes2) {
  const at::Tensor first = boxes1.unsqueeze(-2);  // [..., G, 1, 4]
  const at::Tensor low = at::maximum(first.slice(-1, 0, 2), boxes2.slice(-1, 0, 2));
  const at::Tensor high = at::minimum(first.slice(-1, 2, 4), boxes2.slice(-1, 2, 4));
  const at::Tensor size = (high - low).clamp_min(0);  // [..., G, A, 2]
  const at::Tensor intersection = size.select(-1, 0) * size.select(-1, 1);
  return intersection / (box_area(boxes1).unsqueeze(-1) + box_area(boxes2) - intersection);
}

at::Tensor clip_boxes(const at::Tensor& boxes, int64_t width, int64_t height) {
  const at::Tensor x = boxes.slice(-1, 0, 4, 2).clamp(0, width);   // [..., 2]: xmin, xmax
  const at::Tensor y = boxes.slice(-1, 1, 4, 2).clamp(0, height);  // [..., 2]: ymin, ymax
  return at::stack({x, y}, -1).flatten(-2);                        // [..., 4]: xmin, ymin, xmax, ymax
}

}  // namespace dinov3_det
