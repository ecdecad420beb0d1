#pragma once

#include "train/multibox_loss.h"

namespace dinov3_det {

// The loss that the options name: multibox_loss of default boxes, or dense_loss of points. Throws for options that do
// not go with how the boxes are coded.
MultiboxLoss detection_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& default_boxes,
                            const LossOptions& options);

// The loss of a branch that is to give each object one box: dense_loss with one point for each.
MultiboxLoss one_to_one_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& cells,
                             const LossOptions& options);

// Throws for losses that do not go together, or not with such codes.
void check_loss(const LossOptions& options, const BoxCoding& coding);

}  // namespace dinov3_det
