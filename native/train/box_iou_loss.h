#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// Losses of boxes [P, 4] (xyxy) against as many targets -> [P], as torchvision computes them, eps 1e-7.

// 1 - generalized IoU (Rezatofighi et al. 2019): minus the share of the smallest enclosing box that neither fills.
at::Tensor giou_loss(const at::Tensor& boxes, const at::Tensor& targets);

// 1 - distance IoU (Zheng et al. 2020): plus the squared distance of the centres over the enclosing box's diagonal.
at::Tensor diou_loss(const at::Tensor& boxes, const at::Tensor& targets);

// 1 - complete IoU (Zheng et al. 2020): the distance IoU, and how far the aspect ratios are apart.
at::Tensor ciou_loss(const at::Tensor& boxes, const at::Tensor& targets);

}  // namespace dinov3_det
