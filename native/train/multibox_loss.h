#pragma once

#include <ATen/core/Tensor.h>

#include "models/ssd_head.h"

namespace dinov3_det {

// Ground truth of a batch, padded to the image with the most objects.
struct Targets {
  at::Tensor boxes;   // [N, G, 4] xyxy in pixels of the input
  at::Tensor labels;  // [N, G] int64, 1..K-1
  at::Tensor counts;  // [N] int64
};

struct MultiboxLoss {
  at::Tensor bbox_regression;  // scalar
  at::Tensor classification;   // scalar
  at::Tensor positives;        // scalar, int64
};

// torchvision's SSD.compute_loss: smooth L1 (beta 1) on the encoded boxes of the positives, softmax cross entropy on
// positives and, image by image, three times as many hardest negatives; both summed and divided by max(1, positives of
// the batch).
MultiboxLoss multibox_loss(const HeadOutput& output, const Targets& targets, const at::Tensor& default_boxes);

}  // namespace dinov3_det
