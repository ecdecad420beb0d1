#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

namespace dinov3_det {

namespace {

// One kind of state, a tensor for each parameter. Zeros are what a fresh optimizer starts from.
std::vector<at::Tensor> zeros_like_all(const NamedTensors& parameters) {
  std::vector<at::Tensor> zeros;
  for (const NamedTensor& parameter : parameters) zeros.push_back(at::zeros_like(parameter.tensor));
  return zeros;
}

void append_state(NamedTensors& all, const NamedTensors& parameters, const std::string& what,
                  const std::vector<at::Tensor>& tensors) {
  for (size_t i = 0; i < parameters.size(); i++) all.push_back({parameters[i].name + "." + what, tensors[i]});
}

// LibTorch's fused steps do not tell a tensor that it has changed, which who keeps a copy must know.
void mark_changed(const std::vector<at::Tensor>& parameters) {
  for (const at::Tensor& parameter : parameters) parameter.unsafeGetTensorImpl()->bump_version();
}

std::vector<at::Tensor> select(const std::vector<at::Tensor>& tensors, const std::vector<size_t>& members) {
  std::vector<at::Tensor> chosen;
  for (const size_t i : members) chosen.push_back(tensors[i]);
  return chosen;
}

LearningRate times(const LearningRate& learning_rate, double factor) {
  return std::visit([&](const auto& rate) -> LearningRate { return rate * factor; }, learning_rate);
}

class AdamW : public Optimizer {
 public:
  AdamW(NamedTensors parameters, const std::vector<ParameterOptions>& options, double momentum)
      : Optimizer(std::move(parameters), options, /*weight_decay=*/0.01),
        momentum_(momentum),
        exp_avg_(zeros_like_all(parameters_)),
        exp_avg_sq_(zeros_like_all(parameters_)) {
    for (const NamedTensor& parameter : parameters_) step_.push_back(at::zeros({}, parameter.tensor.options()));
  }

  NamedTensors state() const override {
    NamedTensors named;
    append_state(named, parameters_, "exp_avg", exp_avg_);
    append_state(named, parameters_, "exp_avg_sq", exp_avg_sq_);
    append_state(named, parameters_, "step", step_);
    return named;
  }

 private:
  void step_members(const Members& members, const LearningRate& learning_rate, double weight_decay,
                    const at::Tensor& found_inf) override {
    std::vector<at::Tensor> parameters = parameters_of(members), gradients = gradients_of(members);
    std::vector<at::Tensor> exp_avg = select(exp_avg_, members), exp_avg_sq = select(exp_avg_sq_, members);
    const std::vector<at::Tensor> steps = select(step_, members);
    at::_foreach_add_(steps, 1 - found_inf);
    const auto step = [&](const auto& rate) {
      at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps, rate, momentum_,
                        /*beta2=*/0.999, weight_decay, /*eps=*/1e-8, /*amsgrad=*/false, /*maximize=*/false,
                        /*grad_scale=*/{}, found_inf);
    };
    std::visit(step, learning_rate);
  }

  double momentum_;
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_, step_;
};

class Sgd : public Optimizer {
 public:
  Sgd(NamedTensors parameters, const std::vector<ParameterOptions>& options, double momentum)
      : Optimizer(std::move(parameters), options, /*weight_decay=*/0),
        momentum_(momentum),
        momentum_buffer_(zeros_like_all(parameters_)) {}

  NamedTensors state() const override {
    NamedTensors named;
    append_state(named, parameters_, "momentum_buffer", momentum_buffer_);
    return named;
  }

 private:
  void step_members(const Members& members, const LearningRate& learning_rate, double weight_decay,
                    const at::Tensor& found_inf) override {
    // With a buffer of zeros the first step is the same as PyTorch's, which starts from the gradient.
    const bool keeps = momentum_ > 0;
    const std::vector<at::Tensor> buffers = keeps ? select(momentum_buffer_, members) : std::vector<at::Tensor>{};
    const auto step = [&](const auto& rate) {
      at::_fused_sgd_(parameters_of(members), gradients_of(members), buffers, weight_decay, momentum_, rate,
                      /*dampening=*/0, /*nesterov=*/keeps, /*maximize=*/false,
                      /*is_first_step=*/false, /*grad_scale=*/{}, found_inf);
    };
    std::visit(step, learning_rate);
  }

  double momentum_;
  std::vector<at::Tensor> momentum_buffer_;
};

}  // namespace

Optimizer::Optimizer(NamedTensors parameters, const std::vector<ParameterOptions>& options, double weight_decay)
    : parameters_(std::move(parameters)), weight_decay_(weight_decay) {
  TORCH_CHECK(options.size() == parameters_.size(), "expected options for each of ", parameters_.size(), " parameters");
  for (size_t i = 0; i < options.size(); i++) {
    auto group = std::find_if(groups_.begin(), groups_.end(),
                              [&](const Group& existing) { return existing.options == options[i]; });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), {options[i], {}});
    group->members.push_back(i);
  }
}

void Optimizer::step(const LearningRate& learning_rate, const at::Tensor& found_inf) {
  const c10::NoGradGuard no_grad;
  for (const Group& group : groups_) {
    Members members;
    for (const size_t i : group.members) {
      if (parameters_[i].tensor.grad().defined()) members.push_back(i);
    }
    if (members.empty()) continue;
    step_members(members, times(learning_rate, group.options.learning_rate_factor),
                 group.options.weight_decay.value_or(weight_decay_), found_inf);
    mark_changed(parameters_of(members));
  }
}

std::vector<at::Tensor> Optimizer::parameters_of(const Members& members) const {
  std::vector<at::Tensor> parameters;
  for (const size_t i : members) parameters.push_back(parameters_[i].tensor);
  return parameters;
}

std::vector<at::Tensor> Optimizer::gradients_of(const Members& members) const {
  std::vector<at::Tensor> gradients;
  for (const size_t i : members) gradients.push_back(parameters_[i].tensor.grad());
  return gradients;
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& parameter : parameters_) {
    if (parameter.tensor.grad().defined()) gradients.push_back(parameter.tensor.grad());
  }
  return gradients;
}

void Optimizer::mark_all_changed() const {
  for (const NamedTensor& parameter : parameters_) mark_changed({parameter.tensor});
}

void Optimizer::zero_grad() {
  for (const NamedTensor& parameter : parameters_) parameter.tensor.mutable_grad().reset();
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, NamedTensors parameters,
                                          std::vector<ParameterOptions> of_parameters) {
  if (of_parameters.empty()) of_parameters.resize(parameters.size());
  if (options.kind == "adamw") return std::make_unique<AdamW>(std::move(parameters), of_parameters, options.momentum);
  if (options.kind == "sgd") return std::make_unique<Sgd>(std::move(parameters), of_parameters, options.momentum);
  TORCH_CHECK(false, "unknown optimizer \"", options.kind, "\"");
}

}  // namespace dinov3_det
