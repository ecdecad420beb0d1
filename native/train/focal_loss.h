#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// Focal loss (Lin et al. 2017) as torchvision's sigmoid_focal_loss, alpha 0.25 and gamma 2: binary cross entropy in
// which what is already right counts for little.
//
// logits, targets (0 or 1), of one shape -> the loss of each logit, of that shape
at::Tensor sigmoid_focal_loss(const at::Tensor& logits, const at::Tensor& targets);

}  // namespace dinov3_det
