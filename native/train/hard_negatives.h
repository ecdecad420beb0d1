#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// SSD's hard negative mining: three negatives of largest loss for each positive of an image. As in torchvision, an
// image with too few negatives gets positives in this mask, whose loss then counts twice.
//
// torchvision gives an image without positives none. With `of_background` it has as many as the average image of the
// batch, and at least three: it then weighs as an image with objects, however many default boxes match one.
//
// cls_loss [N, A], foreground [N, A] -> mask [N, A]
at::Tensor hard_negatives(const at::Tensor& cls_loss, const at::Tensor& foreground, bool of_background);

}  // namespace dinov3_det
