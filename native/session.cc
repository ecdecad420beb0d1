#include "session.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "memory/out_of_memory.h"
#include "models/script/script_builder.h"

namespace dinov3_det {

Session::Session(const DetectorConfig& config) : model_(std::make_shared<DetectorModel>(config)) {}

Session::Session(std::shared_ptr<DetectorModel> model, const TrainStep& training)
    : model_(std::move(model)), snapshot_(std::make_unique<Snapshot>(*model_, training)) {}

Detections Session::detect(const Batch& batch, const PostprocessOptions& options) {
  // Not InferenceMode: a TorchScript program that has been trained may run what was compiled for gradients.
  const c10::NoGradGuard no_grad;
  const SnapshotWeights weights(snapshot_.get());
  const Float32Products float32_products = model_->float32_products();
  model_->check_image_size(batch.pixels);
  model_->set_training(false);
  Detections detections;
  with_enough_memory("detection " + describe(batch), [&] {
    const HeadOutput output =
        options.nms == Nms::kNone ? model_->forward_one_to_one(batch.pixels) : model_->forward(batch.pixels);
    detections =
        postprocess(output, model_->default_boxes(), model_->image_size(), batch.frames, options, model_->scoring());
  });
  return detections;
}

void Session::start_training(const TrainOptions& options) {
  check_no_snapshot("trained");
  training_ = std::make_unique<TrainStep>(model_, options);
}

std::vector<StepResult> Session::train_step(const Batch& batch, double learning_rate, uint64_t seed) {
  return training("trainStep").run(batch, learning_rate, seed);
}

std::vector<StepResult> Session::finish_steps() { return training("finishSteps").finish(); }

std::string Session::graph_refusal() const { return training("graphRefusal").graph_refusal(); }

Session Session::snapshot() const {
  const TrainStep& now = training("takeSnapshot");
  std::optional<Session> copy;
  with_enough_memory("a copy of the weights", [&] { copy = Session(model_, now); });
  return std::move(*copy);
}

NamedTensors Session::state(const std::string& part) const {
  if (part == "model") return model_->state();
  if (part != "optimizer") throw Error("NATIVE_ERROR", "A detector has no state \"" + part + "\"");
  if (snapshot_) return snapshot_->optimizer();
  if (!training_) throw Error("NATIVE_ERROR", "The optimizer has no state before training has started");
  return training_->state();
}

void Session::read_state(const std::string& part, const std::string& path, const std::vector<TensorSpan>& spans) {
  check_no_snapshot("given another state");
  read_tensors(path, spans, state(part));
}

void Session::write_state(const std::string& part, const std::string& path, const std::vector<TensorSpan>& spans) {
  const SnapshotWeights weights(snapshot_.get());
  write_tensors(path, spans, state(part));
}

void Session::write_script(const std::string& path, const std::vector<std::string>& classes,
                           const PostprocessOptions& options) {
  const SnapshotWeights weights(snapshot_.get());
  save_script(model_->script(classes, options), path);
}

void Session::write_backbone_script(const std::string& path) {
  const SnapshotWeights weights(snapshot_.get());
  save_script(model_->script_backbone(), path);
}

std::vector<float> Session::default_boxes() const {
  const at::Tensor boxes = model_->default_boxes().boxes.cpu().contiguous();
  return {boxes.const_data_ptr<float>(), boxes.const_data_ptr<float>() + boxes.numel()};
}

// `caller`: the addon's function.
TrainStep& Session::training(const char* caller) const {
  if (!training_) throw Error("NATIVE_ERROR", std::string(caller) + " was called before startTraining");
  return *training_;
}

void Session::check_no_snapshot(const char* what) const {
  if (snapshot_) throw Error("NATIVE_ERROR", std::string("A snapshot cannot be ") + what);
}

}  // namespace dinov3_det
