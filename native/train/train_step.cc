#include "train/train_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "memory/out_of_memory.h"
#include "train/multibox_loss.h"

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

// The pictures from `begin` on, at most `size` of them, with their ground truth.
Batch part_of(const Batch& batch, int64_t begin, int64_t size) {
  const int64_t count = std::min(size, batch.pixels.size(0) - begin);
  const auto of = [&](const at::Tensor& tensor) { return tensor.narrow(0, begin, count); };
  return {of(batch.pixels), {}, {of(batch.targets.boxes), of(batch.targets.labels), of(batch.targets.counts)}};
}

// What the multibox loss divides the sum of so many terms by.
double divisor(int64_t terms) { return static_cast<double>(std::max<int64_t>(terms, 1)); }

[[noreturn]] void throw_not_finite(const std::string& what, const StepResult& result) {
  throw Error("LOSS_NOT_FINITE", "The " + what + " is not finite: box loss " + std::to_string(result.bbox_regression) +
                                     ", class loss " + std::to_string(result.classification) + ", " +
                                     std::to_string(result.positives) +
                                     " matched default boxes. The weights keep their last good values; lower the "
                                     "learning rate or clip gradients");
}

}  // namespace

TrainStep::TrainStep(std::shared_ptr<DetectorModel> model, const TrainOptions& options)
    : model_(std::move(model)),
      clip_grad_norm_(options.clip_grad_norm),
      micro_batch_size_(options.micro_batch_size),
      drop_path_(options.drop_path) {
  model_->set_trainable(options.fine_tune);
  const NamedTensors parameters = trainable(model_->parameters());
  optimizer_ = make_optimizer(options.optimizer, parameters, options_of(parameters, options.parameters));
  if (options.ema_decay) {
    NamedTensors averaged = parameters;
    append(averaged, "", model_->buffers());
    ema_ = std::make_unique<Ema>(std::move(averaged), *options.ema_decay);
  }
}

StepResult TrainStep::run(const Batch& batch, double learning_rate, uint64_t seed) {
  check_labels(batch.targets, model_->num_classes());
  const TrainedWeights trained(ema_.get());
  std::vector<at::Tensor> kept;
  for (const NamedTensor& buffer : model_->buffers()) kept.push_back(buffer.tensor.clone());
  try {
    StepResult result{};
    model_->set_drop_path(drop_path_, seed);
    name_out_of_memory("a training step " + describe(batch), [&] { result = step(batch, learning_rate); });
    if (ema_) ema_->update();
    return result;
  } catch (...) {
    const NamedTensors buffers = model_->buffers();
    for (size_t i = 0; i < kept.size(); i++) buffers[i].tensor.copy_(kept[i]);
    optimizer_->zero_grad();
    throw;
  }
}

NamedTensors TrainStep::state() const {
  NamedTensors named = optimizer_->state();
  if (ema_) append(named, "", ema_->state());
  return named;
}

StepResult TrainStep::step(const Batch& batch, double learning_rate) {
  model_->set_training(true);
  optimizer_->zero_grad();
  const bool whole = !micro_batch_size_ || batch.pixels.size(0) <= *micro_batch_size_;
  StepResult result = whole ? add_gradients(batch, nullptr) : add_gradients_in_parts(batch);
  result.gradient_norm = clip_gradients(result);
  optimizer_->step(learning_rate);
  optimizer_->zero_grad();
  return result;
}

// Losses and gradients; of a part of a batch both are times the number of their terms, which is added to `terms`.
StepResult TrainStep::add_gradients(const Batch& batch, int64_t* terms) {
  const at::Device& device = model_->device();
  const Targets targets{batch.targets.boxes.to(device), batch.targets.labels.to(device),
                        batch.targets.counts.to(device)};
  const MultiboxLoss loss =
      multibox_loss(model_->forward(batch.pixels), targets, model_->default_boxes(), model_->loss());
  const at::Tensor total = loss.bbox_regression + loss.classification;

  StepResult result{total.item<double>(), loss.bbox_regression.item<double>(), loss.classification.item<double>(), 0,
                    loss.positives.item<int64_t>()};
  if (!std::isfinite(result.loss)) throw_not_finite("loss", result);
  if (terms == nullptr) {
    total.backward();
    return result;
  }
  const int64_t own = loss.terms.item<int64_t>();
  *terms += own;
  const double weight = divisor(own);
  (total * weight).backward();
  return {weight * result.loss, weight * result.bbox_regression, weight * result.classification, 0, result.positives};
}

StepResult TrainStep::add_gradients_in_parts(const Batch& batch) {
  StepResult sum{};
  int64_t terms = 0;
  for (int64_t begin = 0; begin < batch.pixels.size(0); begin += *micro_batch_size_) {
    const StepResult part = add_gradients(part_of(batch, begin, *micro_batch_size_), &terms);
    sum = {sum.loss + part.loss, sum.bbox_regression + part.bbox_regression, sum.classification + part.classification,
           0, sum.positives + part.positives};
  }
  const double whole = divisor(terms);
  const std::vector<at::Tensor> gradients = optimizer_->gradients();
  if (!gradients.empty()) at::_foreach_div_(gradients, whole);
  return {sum.loss / whole, sum.bbox_regression / whole, sum.classification / whole, 0, sum.positives};
}

// torch.nn.utils.clip_grad_norm_; the norm is always looked at, since one bad gradient would spoil every weight.
double TrainStep::clip_gradients(const StepResult& result) {
  const std::vector<at::Tensor> gradients = optimizer_->gradients();
  if (gradients.empty()) return 0;
  const double norm = at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
  if (!std::isfinite(norm)) throw_not_finite("gradient (norm " + std::to_string(norm) + ")", result);
  if (clip_grad_norm_) at::_foreach_mul_(gradients, std::min(1.0, *clip_grad_norm_ / (norm + 1e-6)));
  return norm;
}

}  // namespace dinov3_det
