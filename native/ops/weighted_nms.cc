#include "ops/weighted_nms.h"

#include <algorithm>
#include <array>

namespace dinov3_det {

namespace {

float box_iou(const float* a, const float* b) {
  const float width = std::max(0.0f, std::min(a[2], b[2]) - std::max(a[0], b[0]));
  const float height = std::max(0.0f, std::min(a[3], b[3]) - std::max(a[1], b[1]));
  const float intersection = width * height;
  return intersection / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection);
}

}  // namespace

void weight_boxes(NmsCandidates& candidates, const std::vector<int64_t>& kept, double iou_threshold) {
  auto& [boxes, scores, labels] = candidates;
  std::vector<uint8_t> taken(scores.size(), 0);
  for (const int64_t index : kept) taken[index] = 1;
  for (const int64_t index : kept) {
    std::array<double, 4> sum{};
    double weight = 0;
    const auto add = [&](size_t i) {
      for (size_t corner = 0; corner < 4; corner++) sum[corner] += double{scores[i]} * boxes[4 * i + corner];
      weight += scores[i];
      taken[i] = 1;
    };
    add(index);
    for (size_t i = 0; i < scores.size(); i++) {
      if (taken[i] || labels[i] != labels[index]) continue;
      if (box_iou(&boxes[4 * index], &boxes[4 * i]) > iou_threshold) add(i);
    }
    if (weight <= 0) continue;  // scores of zero, at a threshold below
    for (size_t corner = 0; corner < 4; corner++) {
      boxes[4 * index + corner] = static_cast<float>(sum[corner] / weight);
    }
  }
}

}  // namespace dinov3_det
