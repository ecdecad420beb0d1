#pragma once

#include "ops/nms.h"

namespace dinov3_det {

// Weighted NMS (Zhou et al. 2017, "CAD: Scale invariant framework for real-time object detection"): each box that NMS
// kept becomes the average, by score, of itself and the boxes that it suppressed, which are those of its class whose
// IoU with it is above the threshold and that no better box has suppressed.
//
// kept: what batched_nms gave for the candidates, or the first of it; their boxes are replaced.
void weight_boxes(NmsCandidates& candidates, const std::vector<int64_t>& kept, double iou_threshold);

}  // namespace dinov3_det
