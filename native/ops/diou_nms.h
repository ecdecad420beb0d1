#pragma once

#include "ops/nms.h"

namespace dinov3_det {

// DIoU-NMS (Zheng et al. 2020): suppresses the boxes whose distance IoU is above the threshold. That is the IoU less
// the squared distance of the centres over that of the enclosing box's corners: two objects of which one covers the
// other survive, as their centres are apart.
void suppress_by_diou(ClassBoxes& boxes, size_t best, float threshold);

}  // namespace dinov3_det
