#include "train/snapshot.h"

#include <ATen/ATen.h>

namespace dinov3_det {

namespace {

NamedTensors changing(const DetectorModel& model) {
  NamedTensors tensors;
  for (const NamedTensor& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) tensors.push_back(parameter);
  }
  append(tensors, "", model.buffers());
  return tensors;
}

}  // namespace

Snapshot::Snapshot(DetectorModel& model, const TrainStep& training)
    : WeightKeeper(model.held_weights(), "the weights of a snapshot", changing(model)) {
  for (const auto& [name, tensor] : training.state()) optimizer_.push_back({name, tensor.detach().clone()});
}

}  // namespace dinov3_det
