#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/named_tensor.h"
#include "data/batch.h"
#include "io/tensor_file.h"
#include "models/detector_model.h"
#include "ops/postprocess.h"
#include "train/snapshot.h"
#include "train/train_step.h"

namespace dinov3_det {

// A detector as its users know it: what it can do, with all that has to hold meanwhile (no gradients, the right
// weights, float32 products, enough memory). It is used by one thread at a time, which in Node.js is the lane.
//
// A snapshot is a session too, on the same model: to detect and to write its state. It is not trained, and its state is
// not replaced.
class Session {
 public:
  explicit Session(const DetectorConfig& config);

  Detections detect(const Batch& batch, const PostprocessOptions& options);

  // Begins anew where a training is under way. Throws for a class loss that contradicts the model's scores.
  void start_training(const TrainOptions& options);

  // As TrainStep::run, finish and graph_refusal. They throw before start_training.
  std::vector<StepResult> train_step(const Batch& batch, double learning_rate, uint64_t seed);
  std::vector<StepResult> finish_steps();
  std::string graph_refusal() const;

  // A session with the weights and the optimizer's state that this one has now, which is trained on. Throws
  // OUT_OF_MEMORY.
  Session snapshot() const;

  // "model" or "optimizer" -> names, types and shapes of its tensors. Their values are to be had by write_state: the
  // tensors of a snapshot's model are those of the model.
  NamedTensors state(const std::string& part) const;
  void read_state(const std::string& part, const std::string& path, const std::vector<TensorSpan>& spans);
  void write_state(const std::string& part, const std::string& path, const std::vector<TensorSpan>& spans);

  // As DetectorModel::script and script_backbone, into a file. Throw OUTPUT_NOT_WRITABLE.
  void write_script(const std::string& path, const std::vector<std::string>& classes,
                    const PostprocessOptions& options);
  void write_backbone_script(const std::string& path);

  std::vector<float> default_boxes() const;  // xyxy in pixels of the input, 4 each
  // These never change: any thread may ask.
  const std::vector<MapShape>& maps() const { return model_->maps(); }
  at::ScalarType compute_type() const { return model_->compute_type(); }

 private:
  Session(std::shared_ptr<DetectorModel> model, const TrainStep& training);
  TrainStep& training(const char* caller) const;
  void check_no_snapshot(const char* what) const;

  std::shared_ptr<DetectorModel> model_;
  std::unique_ptr<TrainStep> training_;  // null before start_training
  std::unique_ptr<Snapshot> snapshot_;   // null but in a snapshot: its weights are these, not the model's
};

}  // namespace dinov3_det
