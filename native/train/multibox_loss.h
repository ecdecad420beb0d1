#pragma once

#include <ATen/core/Tensor.h>

#include "data/targets.h"
#include "ops/default_boxes.h"
#include "ops/head_output.h"
#include "train/loss_options.h"

namespace dinov3_det {

struct MultiboxLoss {
  at::Tensor bbox_regression;  // scalar
  at::Tensor classification;   // scalar
  at::Tensor positives;        // scalar, int64
  at::Tensor terms;            // scalar, int64: what the losses are a mean over, unless it is 0
};

// The loss of matched default boxes; by default torchvision's SSD.compute_loss: smooth L1 (beta 1) on the encoded boxes
// of the positives, softmax cross entropy on positives and, image by image, three times as many hardest negatives; both
// summed and divided by max(1, positives of the batch). With background negatives the cross entropy is divided by at
// least one per image.
//
// With focal loss both are divided as in torchvision's RetinaNet: in each image by max(1, its positives), then by the
// number of images. The column of the background has no target and no loss: torchvision's teaches it 0, if labels begin
// at 1. What the matcher ignores has no loss of classes.
MultiboxLoss multibox_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& default_boxes,
                           const LossOptions& options = {});

}  // namespace dinov3_det
