#include "train/train_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/levers.h"
#include "memory/out_of_memory.h"
#include "train/detection_loss.h"

namespace dinov3_det {

namespace {

// Frozen parameters are not handed to the optimizer: they would only cost it memory.
NamedTensors trainable(const NamedTensors& parameters) {
  NamedTensors chosen;
  for (const NamedTensor& parameter : parameters) {
    if (parameter.tensor.requires_grad()) chosen.push_back(parameter);
  }
  return chosen;
}

std::vector<ParameterOptions> options_of(const NamedTensors& parameters,
                                         const std::unordered_map<std::string, ParameterOptions>& given) {
  std::vector<ParameterOptions> options;
  for (const NamedTensor& parameter : parameters) {
    const auto found = given.find(parameter.name);
    options.push_back(found == given.end() ? ParameterOptions{} : found->second);
  }
  return options;
}

// The images from `begin` on, at most `size` of them, with their ground truth.
Batch part_of(const Batch& batch, int64_t begin, int64_t size) {
  const int64_t count = std::min(size, batch.pixels.size(0) - begin);
  const auto of = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, count); };
  return {of(batch.pixels), {}, {of(batch.targets.boxes), of(batch.targets.labels), of(batch.targets.counts)}};
}

// What the loss divides the sum of so many terms by.
at::Tensor divisor(const at::Tensor& terms, at::ScalarType type) { return terms.clamp_min(1).to(type); }

bool is_of_one_to_one(const std::string& name) { return name.starts_with(std::string("head.") + kOneToOnePrefix); }

void check_scores(Scoring scores, ClassLoss loss) {
  TORCH_CHECK(scores == scoring_of(loss), "expected a class loss for a detector whose scores are ",
              name_of(kScorings, scores), " but received ", name_of(kClassLosses, loss), ", which trains ",
              name_of(kScorings, scoring_of(loss)),
              " scores; train with another class loss, or create the detector with scores ",
              name_of(kScorings, scoring_of(loss)));
}

// Whether the device can do a step as a graph, which is the same every time.
bool is_replayable(const DetectorModel& model, const TrainOptions& options) {
  return !lever_disabled("graph") && options.drop_path == 0 && !options.sizes_vary && model.is_replayable() &&
         graph_missing(model.device().type()).empty();
}

// The model's buffers as they were before a step.
class KeptBuffers {
 public:
  explicit KeptBuffers(const DetectorModel& model) {
    for (const NamedTensor& buffer : model.buffers()) buffers_.push_back({buffer.tensor, buffer.tensor.clone()});
  }

  void restore() const {
    for (const auto& [buffer, kept] : buffers_) buffer.copy_(kept);
  }

  // If this scalar of their device is 1; the host need not know.
  void restore_if(const at::Tensor& found_inf) const {
    for (const auto& [buffer, kept] : buffers_) buffer.copy_(at::where(found_inf > 0, kept, buffer));
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;
};

}  // namespace

TrainStep::TrainStep(std::shared_ptr<DetectorModel> model, const TrainOptions& options)
    : model_(std::move(model)),
      results_(model_->device(), options.look_every.value_or(model_->device().is_cpu() ? 1 : kLookEvery)),
      loss_(options.loss),
      clip_grad_norm_(options.clip_grad_norm),
      micro_batch_size_(options.micro_batch_size),
      drop_path_(options.drop_path),
      sizes_vary_(options.sizes_vary) {
  check_scores(model_->scoring(), loss_.classification);
  check_loss(loss_, model_->default_boxes().coding);
  if (loss_.class_weights.defined()) {
    TORCH_CHECK(loss_.class_weights.size(0) == model_->num_classes(), "expected ", model_->num_classes() - 1,
                " class weights but received ", loss_.class_weights.size(0) - 1);
    loss_.class_weights = loss_.class_weights.to(model_->device());
  }
  model_->set_trainable(options.fine_tune);
  const NamedTensors parameters = trainable(model_->parameters());
  optimizer_ = make_optimizer(options.optimizer, parameters, options_of(parameters, options.parameters));
  if (options.ema_decay) {
    NamedTensors averaged = parameters;
    append(averaged, "", model_->buffers());
    ema_ = std::make_unique<Ema>(model_->held_weights(), std::move(averaged), *options.ema_decay);
  }
  if (is_replayable(*model_, options)) {
    parameters_ = model_->parameters();
    graph_ = std::make_unique<StepGraph>(
        model_->device(), [this](const Batch& batch, const LearningRate& rate) { return step(batch, rate); },
        [this] { return changing(); });
  }
}

std::vector<StepResult> TrainStep::run(const Batch& batch, double learning_rate, uint64_t seed) {
  check_labels(batch.targets, model_->num_classes());
  results_.throw_failure();
  model_->held_weights().check_own("a training step");
  if (ema_) ema_->prepare(results_.pending());
  const TrainedWeights trained(ema_.get());
  with_enough_memory("a training step " + describe(batch), [&] {
    model_->set_drop_path(drop_path_, seed);
    results_.add(graph_ ? graph_->run(batch, learning_rate, places()) : step(batch, learning_rate));
  });
  if (graph_) optimizer_->mark_all_changed();
  return results_.due() ? finish() : std::vector<StepResult>{};
}

std::vector<StepResult> TrainStep::finish() {
  std::vector<StepResult> results = results_.look();
  if (ema_) ema_->count(static_cast<int64_t>(results.size()));
  return results;
}

NamedTensors TrainStep::state() const {
  NamedTensors named = optimizer_->state();
  if (ema_) append(named, "", ema_->state());
  return named;
}

// -> what was measured, float64 [5] in the order of a StepResult.
at::Tensor TrainStep::step(const Batch& batch, const LearningRate& learning_rate) {
  if (!sizes_vary_) model_->check_image_size(batch.pixels);
  const Float32Products float32_products = model_->float32_products();
  const KeptBuffers kept(*model_);
  try {
    model_->set_training(true);
    optimizer_->zero_grad();
    const bool whole = !micro_batch_size_ || batch.pixels.size(0) <= *micro_batch_size_;
    const auto [values, positives, terms] = whole ? add_gradients(batch, true) : add_gradients_in_parts(batch);
    const at::Tensor measured = at::cat({values.sum(0), at::stack({positives.to(at::kDouble), clip_gradients()})});
    const at::Tensor& found_inf = results_.found_inf().masked_fill_(at::isfinite(measured).all().logical_not(), 1);
    optimizer_->step(learning_rate, found_inf);
    optimizer_->zero_grad();
    kept.restore_if(found_inf);
    if (ema_) ema_->update(found_inf);
    return measured;
  } catch (...) {
    kept.restore();
    optimizer_->zero_grad();
    throw;
  }
}

// Losses and gradients; of a part of a batch those of each branch are times the number of its terms.
TrainStep::Losses TrainStep::add_gradients(const Batch& batch, bool whole) {
  const std::vector<HeadOutput> outputs = model_->forward_branches(batch.pixels);
  const DefaultBoxes& boxes = model_->boxes_for(batch.pixels);
  const Targets targets = to_device(batch.targets, model_->device());
  std::vector<at::Tensor> values, terms;
  at::Tensor total, positives;
  for (size_t branch = 0; branch < outputs.size(); branch++) {
    const MultiboxLoss loss = (branch == 0 ? detection_loss : one_to_one_loss)(outputs[branch], targets, boxes, loss_);
    const at::Tensor sum = loss.bbox_regression + loss.classification;
    const at::Tensor counted = whole ? sum : sum * divisor(loss.terms, at::kFloat);
    total = branch == 0 ? counted : total + counted;
    if (branch == 0) positives = loss.positives;
    values.push_back(at::stack({sum, loss.bbox_regression, loss.classification}).detach().to(at::kDouble));  // [3]
    terms.push_back(loss.terms);
  }
  total.backward();
  const Losses losses{at::stack(values), positives, at::stack(terms)};
  if (whole) return losses;
  return {losses.values * divisor(losses.terms, at::kDouble).unsqueeze(1), positives, losses.terms};
}

TrainStep::Losses TrainStep::add_gradients_in_parts(const Batch& batch) {
  Losses sum;
  for (int64_t begin = 0; begin < batch.pixels.size(0); begin += *micro_batch_size_) {
    const Losses part = add_gradients(part_of(batch, begin, *micro_batch_size_), false);
    sum = begin == 0 ? part : Losses{sum.values + part.values, sum.positives + part.positives, sum.terms + part.terms};
  }
  divide_gradients(sum.terms);
  return {sum.values / divisor(sum.terms, at::kDouble).unsqueeze(1), sum.positives, sum.terms};
}

// A second branch has gradients of its own: nothing else of the model has a part in its loss.
void TrainStep::divide_gradients(const at::Tensor& terms) {
  std::vector<at::Tensor> of_branch[2];
  for (const NamedTensor& parameter : optimizer_->parameters()) {
    if (!parameter.tensor.grad().defined()) continue;
    of_branch[is_of_one_to_one(parameter.name) ? 1 : 0].push_back(parameter.tensor.grad());
  }
  for (int64_t branch = 0; branch < terms.size(0); branch++) {
    const std::vector<at::Tensor>& gradients = of_branch[branch];
    if (!gradients.empty()) at::_foreach_div_(gradients, divisor(terms[branch], at::kFloat));
  }
}

// torch.nn.utils.clip_grad_norm_ -> the norm before it, float64 scalar, which is always looked at: one bad gradient
// would spoil every weight.
at::Tensor TrainStep::clip_gradients() {
  const std::vector<at::Tensor> gradients = optimizer_->gradients();
  if (gradients.empty()) return at::zeros_like(results_.found_inf(), at::kDouble);
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients, 2)).norm().to(at::kDouble);
  if (clip_grad_norm_) {
    const at::Tensor factor = (at::full_like(norm, *clip_grad_norm_) / (norm + 1e-6)).clamp_max(1);
    at::_foreach_mul_(gradients, factor.to(at::kFloat));
  }
  return norm;
}

// All that a step changes.
std::vector<at::Tensor> TrainStep::changing() const {
  NamedTensors named = optimizer_->parameters();
  append(named, "", model_->buffers());
  append(named, "", state());
  std::vector<at::Tensor> tensors = {results_.found_inf()};
  for (const NamedTensor& entry : named) tensors.push_back(entry.tensor);
  return tensors;
}

// Where the weights lie, and the versions of those that are not trained: the model may keep copies of these.
std::vector<uint64_t> TrainStep::places() const {
  std::vector<uint64_t> places;
  for (const NamedTensor& parameter : parameters_) {
    const bool trained = parameter.tensor.requires_grad();
    places.push_back(reinterpret_cast<uintptr_t>(parameter.tensor.const_data_ptr()));
    places.push_back(trained ? 0 : parameter.tensor.unsafeGetTensorImpl()->version_counter().current_version());
  }
  return places;
}

}  // namespace dinov3_det
