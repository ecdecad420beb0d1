#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "models/named_tensor.h"

namespace dinov3_det {

// Steps every parameter that has a gradient; the others are left alone (no weight decay either), as torch.optim does.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step(double learning_rate) = 0;

  // Everything that must be saved to go on as if never interrupted, named "<parameter>.<what>".
  virtual NamedTensors state() const = 0;

  const NamedTensors& parameters() const { return parameters_; }
  std::vector<at::Tensor> gradients() const;  // of the parameters that have one
  void zero_grad();                           // drops the gradients

 protected:
  explicit Optimizer(NamedTensors parameters) : parameters_(std::move(parameters)) {}

  NamedTensors parameters_;
};

// "adamw": torch.optim.AdamW's defaults (betas .9 .999, eps 1e-8, weight decay .01, decoupled).
// "sgd": momentum .9, Nesterov, no weight decay.
std::unique_ptr<Optimizer> make_optimizer(const std::string& kind, NamedTensors parameters);

}  // namespace dinov3_det
