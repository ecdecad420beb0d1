#include "data/targets.h"

#include <ATen/ATen.h>

namespace dinov3_det {

Targets pad_targets(const Targets& targets, int64_t objects) {
  const auto& [boxes, labels, counts] = targets;
  const int64_t missing = objects - labels.size(1);
  if (missing <= 0) return targets;
  const at::Tensor unit = at::constant_pad_nd(at::zeros({labels.size(0), missing, 2}, boxes.options()), {0, 2}, 1);
  return {at::cat({boxes, unit}, 1), at::constant_pad_nd(labels, {0, missing}), counts};
}

Targets to_device(const Targets& targets, const c10::Device& device) {
  const auto moved = [&](const at::Tensor& tensor) { return tensor.to(device, /*non_blocking=*/true); };
  return {moved(targets.boxes), moved(targets.labels), moved(targets.counts)};
}

void check_labels(const Targets& targets, int64_t num_classes) {
  const auto labels = targets.labels.accessor<int64_t, 2>();
  const auto counts = targets.counts.accessor<int64_t, 1>();
  for (int64_t image = 0; image < labels.size(0); image++) {
    for (int64_t object = 0; object < counts[image]; object++) {
      const int64_t label = labels[image][object];
      TORCH_CHECK(label > 0 && label < num_classes, "label ", label, " is out of bounds: the detector knows 1 to ",
                  num_classes - 1);
    }
  }
}

}  // namespace dinov3_det
