#include "ops/box_coder.h"

#include <ATen/ATen.h>

#include <cmath>

namespace dinov3_det {

namespace {

const double kMaxLogSize = std::log(1000.0 / 16.0);
constexpr double kMaxLogDistance = 10;

struct Centered {
  at::Tensor center;  // [..., 2]
  at::Tensor size;    // [..., 2]
};

Centered to_centered(const at::Tensor& boxes) {
  const at::Tensor low = boxes.slice(-1, 0, 2);
  const at::Tensor size = boxes.slice(-1, 2, 4) - low;
  return {low + 0.5 * size, size};
}

// Cells to all four sides: [..., 4].
at::Tensor cell_sizes(const at::Tensor& cells) {
  const at::Tensor size = cells.slice(-1, 2, 4) - cells.slice(-1, 0, 2);
  return at::cat({size, size}, -1);
}

at::Tensor encode_distances(const at::Tensor& boxes, const at::Tensor& cells) {
  const at::Tensor point = cells.slice(-1, 0, 2);
  return at::log(at::cat({point - boxes.slice(-1, 0, 2), boxes.slice(-1, 2, 4) - point}, -1) / cell_sizes(cells));
}

at::Tensor decode_distances(const at::Tensor& codes, const at::Tensor& cells) {
  const at::Tensor point = cells.slice(-1, 0, 2);
  const at::Tensor distances = at::exp(codes.clamp_max(kMaxLogDistance)) * cell_sizes(cells);
  return at::cat({point - distances.slice(-1, 0, 2), point + distances.slice(-1, 2, 4)}, -1);
}

}  // namespace

at::Tensor encode_boxes(const at::Tensor& boxes, const at::Tensor& default_boxes, const BoxCoding& coding) {
  if (coding.kind == BoxCoding::Kind::kDistances) return encode_distances(boxes, default_boxes);
  const Centered target = to_centered(boxes);
  const Centered anchor = to_centered(default_boxes);
  return at::cat(
      {coding.center * (target.center - anchor.center) / anchor.size, coding.size * at::log(target.size / anchor.size)},
      -1);
}

at::Tensor decode_boxes(const at::Tensor& codes, const at::Tensor& default_boxes, const BoxCoding& coding) {
  if (coding.kind == BoxCoding::Kind::kDistances) return decode_distances(codes, default_boxes);
  const Centered anchor = to_centered(default_boxes);
  const at::Tensor center = codes.slice(-1, 0, 2) / coding.center * anchor.size + anchor.center;
  const at::Tensor log_size = (codes.slice(-1, 2, 4) / coding.size).clamp_max(kMaxLogSize);
  const at::Tensor half = 0.5 * (at::exp(log_size) * anchor.size);
  return at::cat({center - half, center + half}, -1);
}

}  // namespace dinov3_det
