#include "train/snapshot.h"

#include <ATen/ATen.h>

namespace dinov3_det {

Snapshot::Snapshot(const DetectorModel& model, const TrainStep& training) {
  for (const NamedTensor& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) model_.push_back(parameter);
  }
  append(model_, "", model.buffers());
  for (const NamedTensor& entry : model_) weights_.push_back(entry.tensor.detach().clone());
  for (const auto& [name, tensor] : training.state()) optimizer_.push_back({name, tensor.detach().clone()});
}

}  // namespace dinov3_det
