#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// What a head says of each default box.
struct HeadOutput {
  at::Tensor cls_logits;       // [N, A, K]
  at::Tensor bbox_regression;  // [N, A, 4]
};

}  // namespace dinov3_det
