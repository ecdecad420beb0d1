#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// torchvision's SSDMatcher over a whole batch. Per default box the ground truth of largest IoU, if that is >= .5, else
// -1; then for every ground truth its one best default box is forced to it, with no floor; where two share one, the
// later index wins.
//
// iou [N, G, A]; counts [N]: rows of image n from counts[n] on are padding -> indices into G or -1, [N, A], int64
at::Tensor ssd_match(const at::Tensor& iou, const at::Tensor& counts);

}  // namespace dinov3_det
