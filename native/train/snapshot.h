#pragma once

#include "base/named_tensor.h"
#include "models/detector_model.h"
#include "models/weight_keeper.h"
#include "train/train_step.h"

namespace dinov3_det {

// A copy of what training changes, as it is at one moment: of a model's trainable weights (their average, where one is
// kept) and running statistics, and of the optimizer's state. The model itself is trained on; only while a
// `SnapshotWeights` lives does it hold these weights.
class Snapshot : public WeightKeeper {
 public:
  Snapshot(DetectorModel& model, const TrainStep& training);

  // As TrainStep::state().
  const NamedTensors& optimizer() const { return optimizer_; }

 private:
  NamedTensors optimizer_;
};

using SnapshotWeights = Exchanged;

}  // namespace dinov3_det
