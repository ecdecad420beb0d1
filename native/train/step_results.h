#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace dinov3_det {

struct StepResult {
  double loss;
  double bbox_regression;
  double classification;
  int64_t positives;     // matched default boxes of the batch
  double gradient_norm;  // before clipping
};

// What steps measured, on the device until the host looks: a look waits for all that the device has to do.
class StepResults {
 public:
  // Looks are due after every so many steps.
  StepResults(const c10::Device& device, int64_t every);

  // Adds a step's numbers, float64 [5] in the order of a StepResult.
  void add(const at::Tensor& measured) { pending_.push_back(measured); }
  int64_t pending() const { return static_cast<int64_t>(pending_.size()); }
  bool due() const { return pending() >= every_; }

  // float32 scalar on the device, 1 from the first step on that measured a number that is not finite, until the host
  // has seen it. So that step and those after it can leave the weights as they were.
  const at::Tensor& found_inf() const { return found_inf_; }

  // The results of the steps since the last look, up to the first that is not finite. That one is thrown, as
  // LOSS_NOT_FINITE, as soon as no result is left to give: now or at the next look.
  std::vector<StepResult> look();
  void throw_failure();  // what is known and not yet thrown

 private:
  int64_t every_;
  std::vector<at::Tensor> pending_;
  at::Tensor found_inf_;
  std::optional<StepResult> failure_;
};

}  // namespace dinov3_det
