#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"
#include "models/detector_model.h"
#include "models/exchange.h"
#include "train/train_step.h"

namespace dinov3_det {

// A copy of what training changes, as it is at one moment: of a model's trainable weights (their average, where one is
// kept) and running statistics, and of the optimizer's state. The model itself is trained on; only while a
// `SnapshotWeights` lives does it hold these weights.
class Snapshot {
 public:
  Snapshot(const DetectorModel& model, const TrainStep& training);

  // As TrainStep::state().
  const NamedTensors& optimizer() const { return optimizer_; }

  void exchange() { dinov3_det::exchange(model_, weights_); }

 private:
  NamedTensors model_;
  std::vector<at::Tensor> weights_;  // the model's own while these are in the model
  NamedTensors optimizer_;
};

using SnapshotWeights = Exchanged<Snapshot>;

}  // namespace dinov3_det
