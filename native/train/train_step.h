#pragma once

#include <optional>

#include "data/batch.h"
#include "models/detector_model.h"
#include "train/optimizer.h"

namespace dinov3_det {

struct TrainOptions {
  std::string optimizer;                 // "adamw" or "sgd"
  bool fine_tune;                        // the backbone too, or the head alone
  std::optional<double> clip_grad_norm;  // largest L2 norm of all gradients together
};

struct StepResult {
  double loss;
  double bbox_regression;
  double classification;
  double gradient_norm;  // before clipping
  int64_t positives;     // matched default boxes of the batch
};

// Everything that training adds to a model.
class TrainStep {
 public:
  TrainStep(std::shared_ptr<DetectorModel> model, const TrainOptions& options);

  // Forward, loss, backward, clipping, optimizer. Throws LOSS_NOT_FINITE with weights and buffers as they were before.
  StepResult run(const Batch& batch, double learning_rate);

  NamedTensors state() const { return optimizer_->state(); }

 private:
  StepResult step(const Batch& batch, double learning_rate);
  double clip_gradients(const StepResult& result);

  std::shared_ptr<DetectorModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<double> clip_grad_norm_;
};

}  // namespace dinov3_det
