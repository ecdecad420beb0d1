#include "train/box_iou_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numbers>

namespace dinov3_det {

namespace {

constexpr double kEpsilon = 1e-7;

at::Tensor low(const at::Tensor& boxes) { return boxes.slice(-1, 0, 2); }
at::Tensor high(const at::Tensor& boxes) { return boxes.slice(-1, 2, 4); }
at::Tensor area(const at::Tensor& size) { return size.select(-1, 0) * size.select(-1, 1); }

struct Overlap {
  Overlap(const at::Tensor& boxes, const at::Tensor& targets)
      : enclosing(at::maximum(high(boxes), high(targets)) - at::minimum(low(boxes), low(targets))) {
    const at::Tensor shared = at::minimum(high(boxes), high(targets)) - at::maximum(low(boxes), low(targets));
    const at::Tensor intersection = area(shared.clamp_min(0));
    union_area = area(high(boxes) - low(boxes)) + area(high(targets) - low(targets)) - intersection;
    iou = intersection / (union_area + kEpsilon);
  }

  at::Tensor enclosing;   // [P, 2]: width and height of the smallest box around both
  at::Tensor union_area;  // [P]
  at::Tensor iou;         // [P]
};

at::Tensor diou_loss(const Overlap& overlap, const at::Tensor& boxes, const at::Tensor& targets) {
  const at::Tensor offset = (low(boxes) + high(boxes)) / 2 - (low(targets) + high(targets)) / 2;
  return 1 - overlap.iou + offset.square().sum(-1) / (overlap.enclosing.square().sum(-1) + kEpsilon);
}

// atan(width / height); a side that float32 does not see has no gradient, where 0 * infinity would spoil all.
at::Tensor aspect_angle(const at::Tensor& boxes) {
  const at::Tensor size = (high(boxes) - low(boxes)).clamp_min(kEpsilon);
  return at::atan(size.select(-1, 0) / size.select(-1, 1));
}

at::Tensor giou_loss(const at::Tensor& boxes, const at::Tensor& targets) {
  const Overlap overlap(boxes, targets);
  const at::Tensor enclosing_area = area(overlap.enclosing);
  return 1 - overlap.iou + (enclosing_area - overlap.union_area) / (enclosing_area + kEpsilon);
}

at::Tensor ciou_loss(const at::Tensor& boxes, const at::Tensor& targets) {
  const Overlap overlap(boxes, targets);
  const at::Tensor difference = aspect_angle(targets) - aspect_angle(boxes);
  const at::Tensor v = 4 / (std::numbers::pi * std::numbers::pi) * difference.square();
  at::Tensor alpha;
  {
    const c10::NoGradGuard no_grad;
    alpha = v / (1 - overlap.iou + v + kEpsilon);
  }
  return diou_loss(overlap, boxes, targets) + alpha * v;
}

}  // namespace

at::Tensor box_iou_loss(BoxLoss kind, const at::Tensor& boxes, const at::Tensor& targets) {
  switch (kind) {
    case BoxLoss::kGiou:
      return giou_loss(boxes, targets);
    case BoxLoss::kDiou:
      return diou_loss(Overlap(boxes, targets), boxes, targets);
    case BoxLoss::kCiou:
      return ciou_loss(boxes, targets);
    default:
      TORCH_CHECK(false, "not a loss of decoded boxes");
  }
}

}  // namespace dinov3_det
