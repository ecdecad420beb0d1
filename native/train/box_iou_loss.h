#pragma once

#include <ATen/core/Tensor.h>

#include "train/loss_options.h"

namespace dinov3_det {

// Losses of boxes [P, 4] (xyxy) against as many targets -> [P], as torchvision computes them, eps 1e-7.

// kGiou: 1 - generalized IoU (Rezatofighi et al. 2019): minus the share of the smallest enclosing box that neither
// fills. kDiou: 1 - distance IoU (Zheng et al. 2020): plus the squared distance of the centres over the enclosing box's
// diagonal. kCiou: 1 - complete IoU (Zheng et al. 2020): the distance IoU, and how far the aspect ratios are apart.
at::Tensor box_iou_loss(BoxLoss kind, const at::Tensor& boxes, const at::Tensor& targets);

}  // namespace dinov3_det
