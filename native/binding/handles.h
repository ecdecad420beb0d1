#pragma once

#include <node_api.h>

#include <memory>

#include "data/batch.h"
#include "models/detector_model.h"
#include "train/snapshot.h"
#include "train/train_step.h"

namespace dinov3_det {

// What JavaScript's two opaque handles hold.
struct DetectorHandle {
  static constexpr const char* kHandleName = "Detector";
  static constexpr napi_type_tag kHandleTag = {0x5f0c7b9d2a3e41c6, 0x9d1f64b8e07a25c3};

  std::shared_ptr<DetectorModel> model;
  std::unique_ptr<TrainStep> training;  // present once startTraining was called
  std::unique_ptr<Snapshot> snapshot;   // present in what takeSnapshot gives: its weights are these, not the model's
};

struct BatchHandle {
  static constexpr const char* kHandleName = "Batch";
  static constexpr napi_type_tag kHandleTag = {0x83a6c1e05d7f4b92, 0xb24e90d7c8163fa5};

  Batch batch;
};

}  // namespace dinov3_det
