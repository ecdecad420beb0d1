#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "data/batch.h"
#include "models/detector_model.h"
#include "train/ema.h"
#include "train/optimizer.h"

namespace dinov3_det {

struct TrainOptions {
  std::string optimizer;                 // "adamw" or "sgd"
  bool fine_tune;                        // the backbone too, or the head alone
  std::optional<double> clip_grad_norm;  // largest L2 norm of all gradients together
  // Those that are stepped otherwise than the rest, by name; names of what is not trained are ignored.
  std::unordered_map<std::string, ParameterOptions> parameters = {};
  std::optional<int64_t> micro_batch_size = {};  // the most pictures that go through the model together
  std::optional<double> ema_decay = {};          // keep an average of the weights, as Ema does
  double drop_path = 0;                          // as Backbone::set_drop_path
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

  // Forward, loss, backward, clipping, optimizer, average. Throws LOSS_NOT_FINITE with weights and buffers as they were
  // before. A batch of more than micro_batch_size pictures goes through the model in parts; gradients and losses are
  // those of the whole: the loss of a part, a mean over its positives (or its pictures, with focal loss), counts as
  // often as it has such. (Batch norm, if a backbone has it, sees the parts.) The seed is of what is random in the
  // step: drop path.
  StepResult run(const Batch& batch, double learning_rate, uint64_t seed);

  NamedTensors state() const;

 private:
  StepResult step(const Batch& batch, double learning_rate);
  StepResult add_gradients(const Batch& batch, int64_t* terms);
  StepResult add_gradients_in_parts(const Batch& batch);
  double clip_gradients(const StepResult& result);

  std::shared_ptr<DetectorModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;  // none without ema_decay
  std::optional<double> clip_grad_norm_;
  std::optional<int64_t> micro_batch_size_;
  double drop_path_;
};

}  // namespace dinov3_det
