#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/default_boxes.h"
#include "ops/nms.h"
#include "ops/postprocess.h"

namespace dinov3_det {

// On a GPU the best candidates are chosen there, so that they alone move to the host, in one transfer of a size that
// does not depend on how many there are. Which they are, and in which order, is what choosing them on the host gives.

// scores [N, A, K], boxes [N, A, 4], of default boxes in these grids -> [N, R, 6] on the CPU: score, xmin, ymin, xmax,
// ymax, label; a row without a candidate has the score -infinity
at::Tensor compact_candidates(const at::Tensor& scores, const at::Tensor& boxes, const std::vector<BoxGrid>& grids,
                              const PostprocessOptions& options);

// The rows of one image [R, 6], by class, within one by falling score, equal ones by default box.
NmsCandidates read_candidates(const at::Tensor& rows, int64_t classes);

}  // namespace dinov3_det
