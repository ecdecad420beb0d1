#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/default_boxes.h"

namespace dinov3_det {

// Adaptive training sample selection (Zhang et al. 2020, algorithm 1) over a whole batch. An object's candidates are
// the default boxes of the 9 cells of each map that are nearest to its centre; its positives are those candidates whose
// IoU is at least the candidates' mean plus standard deviation and whose centre lies in it. Where two objects share
// one, the larger IoU wins, of equal ones the later object. An object may get none.
//
// boxes [N, G, 4]; counts [N]: rows of image n from counts[n] on are padding; default_boxes [A, 4], of `grids` ->
// indices into G or -1, [N, A], int64
at::Tensor atss_match(const at::Tensor& boxes, const at::Tensor& counts, const at::Tensor& default_boxes,
                      const std::vector<BoxGrid>& grids);

}  // namespace dinov3_det
