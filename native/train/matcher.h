#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// torchvision's SSDMatcher over a whole batch. Per default box the ground truth of largest IoU, if that is >= 0.5, else
// -1; then for every ground truth its one best default box is forced to it, with no floor; where two share one, the
// later index wins.
//
// iou [N, G, A]; counts [N]: rows of image n from counts[n] on are padding -> indices into G or -1, [N, A], int64
at::Tensor ssd_match(const at::Tensor& iou, const at::Tensor& counts);

// Instead of an index: the background, or neither an object nor the background.
constexpr int64_t kBackground = -1;
constexpr int64_t kIgnored = -2;

// RetinaNet's: torchvision's Matcher(0.5, 0.4, allow_low_quality_matches=True), over a whole batch. Per default box the
// ground truth of largest IoU, if that is >= 0.5, else kIgnored from 0.4 on and kBackground below; then the default
// boxes that are the best of some ground truth, all of those if they are equally good, keep theirs of largest IoU too.
// Unlike there, a ground truth that no default box touches gets none, not all of them.
//
// The same arguments -> indices into G, kBackground or kIgnored, [N, A], int64
at::Tensor retinanet_match(const at::Tensor& iou, const at::Tensor& counts);

}  // namespace dinov3_det
