#include "train/step_results.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"

namespace dinov3_det {

namespace {

[[noreturn]] void throw_not_finite(const StepResult& result) {
  const std::string what =
      std::isfinite(result.loss) ? "gradient (norm " + std::to_string(result.gradient_norm) + ")" : "loss";
  throw Error("LOSS_NOT_FINITE", "The " + what + " is not finite: box loss " + std::to_string(result.bbox_regression) +
                                     ", class loss " + std::to_string(result.classification) + ", " +
                                     std::to_string(result.positives) +
                                     " matched default boxes. The weights keep their last good values; lower the "
                                     "learning rate or clip gradients");
}

}  // namespace

StepResults::StepResults(const c10::Device& device, int64_t every)
    : every_(every), found_inf_(at::zeros({}, at::TensorOptions(at::kFloat).device(device))) {}

std::vector<StepResult> StepResults::look() {
  throw_failure();
  if (pending_.empty()) return {};
  const at::Tensor measured = at::stack(std::exchange(pending_, {})).cpu();  // [S, 5]
  const auto numbers = measured.accessor<double, 2>();
  std::vector<StepResult> results;
  for (int64_t i = 0; i < measured.size(0); i++) {
    const StepResult result{numbers[i][0], numbers[i][1], numbers[i][2], static_cast<int64_t>(numbers[i][3]),
                            numbers[i][4]};
    if (!std::isfinite(result.loss) || !std::isfinite(result.gradient_norm)) {
      failure_ = result;
      found_inf_.zero_();
      break;
    }
    results.push_back(result);
  }
  if (results.empty()) throw_failure();
  return results;
}

void StepResults::throw_failure() {
  if (failure_) throw_not_finite(*std::exchange(failure_, std::nullopt));
}

}  // namespace dinov3_det
