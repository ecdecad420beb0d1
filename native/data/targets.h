#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// Ground truth of a batch, padded to one number of objects for all images.
struct Targets {
  at::Tensor boxes;   // [N, G, 4] xyxy in pixels of the input; a padding box is the unit square
  at::Tensor labels;  // [N, G] int64, 1..K-1
  at::Tensor counts;  // [N] int64
};

// The same, padded to at least so many objects.
Targets pad_targets(const Targets& targets, int64_t objects);

// Without waiting for the copy: it is to lie in pinned memory on the host.
Targets to_device(const Targets& targets, const c10::Device& device);

// Throws for a label that is not one of 1..num_classes - 1. The targets lie on the host: on a device such a label would
// go unnoticed, or end the process.
void check_labels(const Targets& targets, int64_t num_classes);

}  // namespace dinov3_det
