#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/named_tensor.h"

namespace dinov3_det {

// "adamw": torch.optim.AdamW's defaults (betas momentum and 0.999, eps 1e-8, weight decay 0.01, decoupled).
// "sgd": Nesterov, no weight decay unless the options of a parameter ask for it (then added to the
// gradient).
struct OptimizerOptions {
  std::string kind;
  double momentum = 0.9;  // below 1: the share of the average of gradients that a step keeps
};

// What sets a parameter apart from others.
struct ParameterOptions {
  double learning_rate_factor = 1;     // of the step's learning rate
  std::optional<double> weight_decay;  // the optimizer's own where absent

  bool operator==(const ParameterOptions&) const = default;
};

// A number, or a float32 scalar on the parameters' device: what a graph reads anew at every replay.
using LearningRate = std::variant<double, at::Tensor>;

// Steps every parameter that has a gradient; the others are left alone (no weight decay either), as torch.optim does.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // found_inf: float32 scalar on the parameters' device; where it is 1 nothing changes, which the host need not know.
  void step(const LearningRate& learning_rate, const at::Tensor& found_inf);

  // Everything that must be saved to go on as if never interrupted, named "<parameter>.<what>".
  virtual NamedTensors state() const = 0;

  const NamedTensors& parameters() const { return parameters_; }
  std::vector<at::Tensor> gradients() const;  // of the parameters that have one
  void zero_grad();                           // drops the gradients
  void mark_all_changed() const;              // what step() does by itself, and a replay of it does not

 protected:
  using Members = std::vector<size_t>;  // places of parameters

  // `options` has one entry for each parameter.
  Optimizer(NamedTensors parameters, const std::vector<ParameterOptions>& options, double weight_decay);

  // Steps these parameters, each of which has a gradient.
  virtual void step_members(const Members& members, const LearningRate& learning_rate, double weight_decay,
                            const at::Tensor& found_inf) = 0;

  std::vector<at::Tensor> parameters_of(const Members& members) const;
  std::vector<at::Tensor> gradients_of(const Members& members) const;

  NamedTensors parameters_;

 private:
  // torch.optim's parameter groups: those that are stepped alike.
  struct Group {
    ParameterOptions options;
    Members members;
  };
  std::vector<Group> groups_;
  double weight_decay_;
};

// `of_parameters` has one entry for each parameter, or none at all.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, NamedTensors parameters,
                                          std::vector<ParameterOptions> of_parameters = {});

}  // namespace dinov3_det
