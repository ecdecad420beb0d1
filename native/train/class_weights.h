#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// The loss of each default box or point [N, A] times the weight of its label [N, A], 0 being the background. weights
// [K]; undefined: the loss as it is.
at::Tensor weigh_classes(const at::Tensor& loss, const at::Tensor& labels, const at::Tensor& weights);

}  // namespace dinov3_det
