#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "data/batch.h"
#include "models/detector_model.h"
#include "train/ema.h"
#include "train/loss_options.h"
#include "train/optimizer.h"
#include "train/step_graph.h"
#include "train/step_results.h"

namespace dinov3_det {

struct TrainOptions {
  OptimizerOptions optimizer;
  bool fine_tune;  // the backbone too, or the head alone
  LossOptions loss = {};
  std::optional<double> clip_grad_norm;  // largest L2 norm of all gradients together
  // Those that are stepped otherwise than the rest, by name; names of what is not trained are ignored.
  std::unordered_map<std::string, ParameterOptions> parameters = {};
  std::optional<int64_t> micro_batch_size = {};  // the most images that go through the model together
  std::optional<double> ema_decay = {};          // keep an average of the weights, as Ema does
  double drop_path = 0;                          // as Backbone::set_drop_path
  bool sizes_vary = false;                       // batches are of more sizes than the model's
  std::optional<int64_t> look_every = {};        // steps; by default one on the CPU and kLookEvery on a GPU
};

// A look at the results empties a GPU's queue: it then idles until the host has sent it the next step, which takes
// about as long as a small step does. Of ten steps that is little, and progress is still told several times a second.
constexpr int64_t kLookEvery = 10;

// Everything that training adds to a model.
class TrainStep {
 public:
  // Throws for a class loss of which the model's scores have another meaning.
  TrainStep(std::shared_ptr<DetectorModel> model, const TrainOptions& options);

  // Forward, loss, backward, clipping, optimizer, average. Never waits for the device but to look at results, and gives
  // those of all steps since the last look: none, or one each time where every step is looked at. Throws
  // LOSS_NOT_FINITE, once the results of earlier steps are given, with weights and buffers as they were before the step
  // that it is about; steps that followed it unknowingly have changed nothing. A batch of more than micro_batch_size
  // images goes through the model in parts; gradients and losses are those of the whole: the loss of a part, a mean
  // over its positives (or its images, with focal loss), counts as often as it has such. (Batch norm, if a backbone
  // has it, sees the parts.) The seed is of what is random in the step: drop path.
  std::vector<StepResult> run(const Batch& batch, double learning_rate, uint64_t seed);

  // The results that run() has not given yet. To be called before weights or state are read.
  std::vector<StepResult> finish();

  NamedTensors state() const;

  // Why steps are not replayed as a graph, although they were to be; empty otherwise.
  std::string graph_refusal() const { return graph_ ? graph_->refusal() : ""; }

 private:
  // What a forward pass measured, of each branch of the head: loss, box loss and class loss, float64 [B, 3], and what
  // these are a mean over [B]. The positives are the first branch's.
  struct Losses {
    at::Tensor values;
    at::Tensor positives;
    at::Tensor terms;
  };

  at::Tensor step(const Batch& batch, const LearningRate& learning_rate);
  Losses add_gradients(const Batch& batch, bool whole);
  Losses add_gradients_in_parts(const Batch& batch);
  void divide_gradients(const at::Tensor& terms);
  at::Tensor clip_gradients();
  std::vector<at::Tensor> changing() const;
  std::vector<uint64_t> places() const;

  std::shared_ptr<DetectorModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;  // none without ema_decay
  StepResults results_;
  NamedTensors parameters_;           // of the model, those that are not trained too
  std::unique_ptr<StepGraph> graph_;  // null where a step is not recorded
  LossOptions loss_;
  std::optional<double> clip_grad_norm_;
  std::optional<int64_t> micro_batch_size_;
  double drop_path_;
  bool sizes_vary_;
};

}  // namespace dinov3_det
