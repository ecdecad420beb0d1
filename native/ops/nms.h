#pragma once

#include <cstdint>
#include <vector>

namespace dinov3_det {

// Candidates of one image, in any order. Plain arrays: the algorithm is sequential.
struct NmsCandidates {
  std::vector<float> boxes;  // xyxy, 4 each
  std::vector<float> scores;
  std::vector<int32_t> labels;
};

// Boxes of one class by falling score, corner by corner.
struct ClassBoxes {
  explicit ClassBoxes(size_t count) : x1(count), y1(count), x2(count), y2(count), area(count), suppressed(count, 0) {}

  std::vector<float> x1, y1, x2, y2, area;
  std::vector<uint32_t> suppressed;  // as wide as the floats, so that both fit one vector register
};

// Marks the boxes after `best` that are too near it.
using Suppress = void (*)(ClassBoxes& boxes, size_t best, float threshold);

// Those whose IoU with it is above the threshold.
void suppress_by_iou(ClassBoxes& boxes, size_t best, float iou_threshold);

// torchvision's batched_nms: indices of the candidates kept, by falling score (ties in input order). A box is
// suppressed by a better one of its class when their IoU > iou_threshold, strictly; areas without +1.
//
// torchvision moves classes apart by an offset of label * (max coordinate + 1) in float32 when there are up to 1,000
// boxes, and runs class by class above that. Both round differently in the last bit, so both are here.
//
// Another `suppress` than IoU leaves all else as it is.
std::vector<int64_t> batched_nms(const NmsCandidates& candidates, double iou_threshold,
                                 Suppress suppress = suppress_by_iou);

}  // namespace dinov3_det
