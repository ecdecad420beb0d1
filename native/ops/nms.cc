#include "ops/nms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "ops/ranking.h"
#include "ops/with_avx2.h"

namespace dinov3_det {

namespace {

constexpr size_t kCoordinateTrickMaximum = 1000;  // torchvision: boxes.numel() <= 4000 on a CPU

// Greedy NMS over one class, whose members are indices by falling score; sets kept[index] for those that stay.
void nms_class(std::span<const int32_t> members, const std::vector<float>& corners, float iou_threshold,
               Suppress suppress, std::vector<uint8_t>& kept) {
  ClassBoxes boxes(members.size());
  for (size_t i = 0; i < members.size(); i++) {
    const float* box = &corners[4 * members[i]];
    boxes.x1[i] = box[0], boxes.y1[i] = box[1], boxes.x2[i] = box[2], boxes.y2[i] = box[3];
    boxes.area[i] = (box[2] - box[0]) * (box[3] - box[1]);
  }
  for (size_t i = 0; i < members.size(); i++) {
    if (boxes.suppressed[i]) continue;
    kept[members[i]] = 1;
    suppress(boxes, i, iou_threshold);
  }
}

std::vector<float> with_class_offsets(const NmsCandidates& candidates) {
  std::vector<float> boxes = candidates.boxes;
  const float span = *std::max_element(boxes.begin(), boxes.end()) + 1.0f;
  for (size_t i = 0; i < boxes.size(); i++) boxes[i] += static_cast<float>(candidates.labels[i / 4]) * span;
  return boxes;
}

// torchvision compares the float32 IoU with the threshold in float64: the largest float32 at or below it decides alike.
float rounded_down(double threshold) {
  const float nearest = static_cast<float>(threshold);
  return nearest > threshold ? std::nextafter(nearest, -std::numeric_limits<float>::infinity()) : nearest;
}

}  // namespace

WITH_AVX2 void suppress_by_iou(ClassBoxes& boxes, size_t best, float iou_threshold) {
  const size_t count = boxes.suppressed.size();
  const float *x1 = boxes.x1.data(), *y1 = boxes.y1.data(), *x2 = boxes.x2.data(), *y2 = boxes.y2.data();
  const float* area = boxes.area.data();
  uint32_t* suppressed = boxes.suppressed.data();
  const float left = x1[best], top = y1[best], right = x2[best], bottom = y2[best], own = area[best];
  for (size_t i = best + 1; i < count; i++) {
    const float width = std::max(0.0f, std::min(right, x2[i]) - std::max(left, x1[i]));
    const float height = std::max(0.0f, std::min(bottom, y2[i]) - std::max(top, y1[i]));
    const float intersection = width * height;
    suppressed[i] |= intersection / (own + area[i] - intersection) > iou_threshold;
  }
}

std::vector<int64_t> batched_nms(const NmsCandidates& candidates, double iou_threshold, Suppress suppress) {
  const size_t n = candidates.scores.size();
  if (n == 0) return {};
  const std::vector<float> boxes = n <= kCoordinateTrickMaximum ? with_class_offsets(candidates) : candidates.boxes;

  const std::vector<int32_t> order = by_falling_score(candidates.scores);
  std::vector<int32_t> grouped = order;
  sort_by_key(grouped, {candidates.labels.begin(), candidates.labels.end()});

  std::vector<uint8_t> is_kept(n, 0);
  for (size_t begin = 0; begin < n;) {
    size_t end = begin;
    while (end < n && candidates.labels[grouped[end]] == candidates.labels[grouped[begin]]) end++;
    nms_class(std::span(grouped).subspan(begin, end - begin), boxes, rounded_down(iou_threshold), suppress, is_kept);
    begin = end;
  }
  std::vector<int64_t> kept;
  std::copy_if(order.begin(), order.end(), std::back_inserter(kept), [&](int32_t index) { return is_kept[index]; });
  return kept;
}

}  // namespace dinov3_det
