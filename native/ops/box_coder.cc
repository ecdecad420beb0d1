#include "ops/box_coder.h"

#include <ATen/ATen.h>

#include <cmath>

namespace dinov3_det {

namespace {

const double kMaxLogSize = std::log(1000.0 / 16.0);

struct Centered {
  at::Tensor center;  // [..., 2]
  at::Tensor size;    // [..., 2]
};

Centered to_centered(const at::Tensor& boxes) {
  const at::Tensor low = boxes.slice(-1, 0, 2);
  const at::Tensor size = boxes.slice(-1, 2, 4) - low;
  return {low + 0.5 * size, size};
}

}  // namespace

at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& default_boxes, const BoxWeights& weights) {
  const Centered target = to_centered(boxes);
  const Centered anchor = to_centered(default_boxes);
  return at::cat({weights.center * (target.center - anchor.center) / anchor.size,
                  weights.size * at::log(target.size / anchor.size)},
                 -1);
}

at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& default_boxes, const BoxWeights& weights) {
  const Centered anchor = to_centered(default_boxes);
  const at::Tensor center = codes.slice(-1, 0, 2) / weights.center * anchor.size + anchor.center;
  const at::Tensor log_size = (codes.slice(-1, 2, 4) / weights.size).clamp_max(kMaxLogSize);
  const at::Tensor half = 0.5 * (at::exp(log_size) * anchor.size);
  return at::cat({center - half, center + half}, -1);
}

}  // namespace dinov3_det
