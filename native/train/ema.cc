#include "train/ema.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

namespace dinov3_det {

Ema::Ema(HeldWeights& held, NamedTensors tensors, double decay)
    : WeightKeeper(held, "the trained weights", std::move(tensors)),
      updates_(at::zeros({}, at::kFloat)),
      share_(at::zeros({}, model().front().tensor.options().dtype(at::kFloat).requires_grad(false))),
      decay_(decay) {}

void Ema::prepare(int64_t uncounted) {
  const double n = updates() + static_cast<double>(uncounted) + 1;
  share_.fill_(1 - std::min(decay_, (1 + n) / (10 + n)));
}

void Ema::update(const at::Tensor& found_inf) {
  TORCH_CHECK(is_exchanged(), "the average takes in the trained weights only while the model holds these");
  const c10::NoGradGuard no_grad;
  const at::Tensor share = share_ * (1 - found_inf);
  for (size_t i = 0; i < model().size(); i++) {
    const at::Tensor& average = kept()[i];
    if (average.is_floating_point()) {
      average.lerp_(model()[i].tensor, share.to(average.scalar_type()));
    } else {
      average.copy_(model()[i].tensor);
    }
  }
}

void Ema::count(int64_t updates) { this->updates() += static_cast<float>(updates); }

NamedTensors Ema::state() const {
  NamedTensors named;
  for (size_t i = 0; i < model().size(); i++) named.push_back({model()[i].name + ".trained", kept()[i]});
  named.push_back({"average.updates", updates_});
  return named;
}

}  // namespace dinov3_det
