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

// torchvision's batched_nms: indices of the candidates kept, by falling score (ties in input order). A box is
// suppressed by a better one of its class when their IoU > iou_threshold, strictly; areas without +1.
//
// torchvision moves classes apart by an offset of label * (max coordinate + 1) in float32 when there are up to 1,000
// boxes, and runs class by class above that. Both round differently in the last bit, so both are here.
std::vector<int64_t> batched_nms(const NmsCandidates& candidates, double iou_threshold);

}  // namespace dinov3_det
