#include "ops/nms.h"

#include <algorithm>
#include <numeric>

namespace dinov3_det {

namespace {

constexpr size_t kCoordinateTrickMaximum = 1000;  // torchvision: boxes.numel() <= 4000 on a CPU

// Greedy NMS over one class, whose members are indices by falling score; survivors are appended to `kept`.
void nms_class(const std::vector<int64_t>& members, const std::vector<float>& boxes, double iou_threshold,
               std::vector<int64_t>& kept) {
  const size_t n = members.size();
  std::vector<float> x1(n), y1(n), x2(n), y2(n), area(n);
  for (size_t i = 0; i < n; i++) {
    const float* box = &boxes[4 * members[i]];
    x1[i] = box[0], y1[i] = box[1], x2[i] = box[2], y2[i] = box[3];
    area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i]);
  }
  std::vector<uint8_t> suppressed(n, 0);
  for (size_t i = 0; i < n; i++) {
    if (suppressed[i]) continue;
    kept.push_back(members[i]);
    for (size_t j = i + 1; j < n; j++) {
      const float width = std::max(0.0f, std::min(x2[i], x2[j]) - std::max(x1[i], x1[j]));
      const float height = std::max(0.0f, std::min(y2[i], y2[j]) - std::max(y1[i], y1[j]));
      const float intersection = width * height;
      const float iou = intersection / (area[i] + area[j] - intersection);
      suppressed[j] |= static_cast<double>(iou) > iou_threshold;
    }
  }
}

std::vector<float> with_class_offsets(const NmsCandidates& candidates) {
  std::vector<float> boxes = candidates.boxes;
  const float span = *std::max_element(boxes.begin(), boxes.end()) + 1.0f;
  for (size_t i = 0; i < boxes.size(); i++) boxes[i] += static_cast<float>(candidates.labels[i / 4]) * span;
  return boxes;
}

}  // namespace

std::vector<int64_t> batched_nms(const NmsCandidates& candidates, double iou_threshold) {
  const size_t n = candidates.scores.size();
  if (n == 0) return {};
  const std::vector<float> boxes = n <= kCoordinateTrickMaximum ? with_class_offsets(candidates) : candidates.boxes;
  const auto by_score = [&](int64_t a, int64_t b) { return candidates.scores[a] > candidates.scores[b]; };

  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return candidates.labels[a] != candidates.labels[b] ? candidates.labels[a] < candidates.labels[b] : by_score(a, b);
  });
  std::vector<int64_t> kept;
  for (size_t begin = 0; begin < n;) {
    size_t end = begin;
    while (end < n && candidates.labels[order[end]] == candidates.labels[order[begin]]) end++;
    nms_class({order.begin() + static_cast<int64_t>(begin), order.begin() + static_cast<int64_t>(end)}, boxes,
              iou_threshold, kept);
    begin = end;
  }
  std::sort(kept.begin(), kept.end());
  std::stable_sort(kept.begin(), kept.end(), by_score);
  return kept;
}

}  // namespace dinov3_det
