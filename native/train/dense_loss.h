#pragma once

#include "data/targets.h"
#include "ops/default_boxes.h"
#include "ops/head_output.h"
#include "train/multibox_loss.h"

namespace dinov3_det {

// RTMDet's losses (Lyu et al. 2022; mmdet's RTMDetHead): quality focal loss (Li et al. 2020, beta 2) of every point,
// whose target is the IoU of its box with its object at the object's class and 0 elsewhere, and twice 1 - GIoU of the
// positives, weighted by that IoU. Both are divided by the sum of these IoUs, at least 1, which is `terms`.
//
// With object_balance each positive counts by the share of its object: 1 with balance 1, so that every object that has
// points counts the same however many they are; as it is with 0 (mmdet's).
//
// points_of_object: as SoftAssignerOptions has it.
MultiboxLoss dense_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& cells,
                        const LossOptions& options, int64_t points_of_object = 0);

}  // namespace dinov3_det
