#include "train/train_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "memory/out_of_memory.h"

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

[[noreturn]] void throw_not_finite(const std::string& what, const StepResult& result) {
  throw Error("LOSS_NOT_FINITE", "The " + what + " is not finite: box loss " + std::to_string(result.bbox_regression) +
                                     ", class loss " + std::to_string(result.classification) + ", " +
                                     std::to_string(result.positives) +
                                     " matched default boxes. The weights keep their last good values; lower the "
                                     "learning rate or clip gradients");
}

}  // namespace

TrainStep::TrainStep(std::shared_ptr<DetectorModel> model, const TrainOptions& options)
    : model_(std::move(model)), clip_grad_norm_(options.clip_grad_norm) {
  model_->set_trainable(options.fine_tune);
  optimizer_ = make_optimizer(options.optimizer, trainable(model_->parameters()));
}

StepResult TrainStep::run(const Batch& batch, double learning_rate) {
  std::vector<at::Tensor> kept;
  for (const NamedTensor& buffer : model_->buffers()) kept.push_back(buffer.tensor.clone());
  try {
    StepResult result{};
    name_out_of_memory("a training step " + describe(batch), [&] { result = step(batch, learning_rate); });
    return result;
  } catch (...) {
    const NamedTensors buffers = model_->buffers();
    for (size_t i = 0; i < kept.size(); i++) buffers[i].tensor.copy_(kept[i]);
    optimizer_->zero_grad();
    throw;
  }
}

StepResult TrainStep::step(const Batch& batch, double learning_rate) {
  model_->set_training(true);
  optimizer_->zero_grad();
  const at::Device& device = model_->device();
  const Targets targets{batch.targets.boxes.to(device), batch.targets.labels.to(device),
                        batch.targets.counts.to(device)};
  const MultiboxLoss loss = multibox_loss(model_->forward(batch.pixels), targets, model_->default_boxes(),
                                          model_->box_grids(), model_->loss());
  const at::Tensor total = loss.bbox_regression + loss.classification;

  StepResult result{total.item<double>(), loss.bbox_regression.item<double>(), loss.classification.item<double>(), 0,
                    loss.positives.item<int64_t>()};
  if (!std::isfinite(result.loss)) throw_not_finite("loss", result);
  total.backward();
  result.gradient_norm = clip_gradients(result);
  optimizer_->step(learning_rate);
  optimizer_->zero_grad();
  return result;
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
