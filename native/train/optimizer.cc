#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

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

class AdamW : public Optimizer {
 public:
  explicit AdamW(NamedTensors parameters)
      : Optimizer(std::move(parameters)),
        exp_avg_(zeros_like_all(parameters_)),
        exp_avg_sq_(zeros_like_all(parameters_)) {
    for (const NamedTensor& parameter : parameters_) step_.push_back(at::zeros({}, parameter.tensor.options()));
  }

  void step(double learning_rate) override {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
    for (size_t i = 0; i < parameters_.size(); i++) {
      const at::Tensor& gradient = parameters_[i].tensor.grad();
      if (!gradient.defined()) continue;
      parameters.push_back(parameters_[i].tensor);
      gradients.push_back(gradient);
      exp_avg.push_back(exp_avg_[i]);
      exp_avg_sq.push_back(exp_avg_sq_[i]);
      steps.push_back(step_[i]);
    }
    if (parameters.empty()) return;
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                      /*beta1=*/0.9, /*beta2=*/0.999, /*weight_decay=*/0.01, /*eps=*/1e-8, /*amsgrad=*/false,
                      /*maximize=*/false);
    mark_changed(parameters);
  }

  NamedTensors state() const override {
    NamedTensors named;
    append_state(named, parameters_, "exp_avg", exp_avg_);
    append_state(named, parameters_, "exp_avg_sq", exp_avg_sq_);
    append_state(named, parameters_, "step", step_);
    return named;
  }

 private:
  std::vector<at::Tensor> exp_avg_, exp_avg_sq_, step_;
};

class Sgd : public Optimizer {
 public:
  explicit Sgd(NamedTensors parameters)
      : Optimizer(std::move(parameters)), momentum_buffer_(zeros_like_all(parameters_)) {}

  void step(double learning_rate) override {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> parameters, gradients, momentum;
    for (size_t i = 0; i < parameters_.size(); i++) {
      const at::Tensor& gradient = parameters_[i].tensor.grad();
      if (!gradient.defined()) continue;
      parameters.push_back(parameters_[i].tensor);
      gradients.push_back(gradient);
      momentum.push_back(momentum_buffer_[i]);
    }
    if (parameters.empty()) return;
    // With a buffer of zeros the first step is the same as PyTorch's, which starts from the gradient.
    at::_fused_sgd_(parameters, gradients, momentum, /*weight_decay=*/0, /*momentum=*/0.9, learning_rate,
                    /*dampening=*/0, /*nesterov=*/true, /*maximize=*/false, /*is_first_step=*/false);
    mark_changed(parameters);
  }

  NamedTensors state() const override {
    NamedTensors named;
    append_state(named, parameters_, "momentum_buffer", momentum_buffer_);
    return named;
  }

 private:
  std::vector<at::Tensor> momentum_buffer_;
};

}  // namespace

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& parameter : parameters_) {
    if (parameter.tensor.grad().defined()) gradients.push_back(parameter.tensor.grad());
  }
  return gradients;
}

void Optimizer::zero_grad() {
  for (const NamedTensor& parameter : parameters_) parameter.tensor.mutable_grad().reset();
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& kind, NamedTensors parameters) {
  if (kind == "adamw") return std::make_unique<AdamW>(std::move(parameters));
  if (kind == "sgd") return std::make_unique<Sgd>(std::move(parameters));
  TORCH_CHECK(false, "unknown optimizer \"", kind, "\"");
}

}  // namespace dinov3_det
