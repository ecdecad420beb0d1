#include "train/ema.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

namespace dinov3_det {

Ema::Ema(NamedTensors tensors, double decay)
    : model_(std::move(tensors)), updates_(at::zeros({}, at::kFloat)), decay_(decay) {
  for (const NamedTensor& entry : model_) other_.push_back(entry.tensor.detach().clone());
}

void Ema::update() {
  const c10::NoGradGuard no_grad;
  const double n = updates_.add_(1).item<double>();
  const double decay = std::min(decay_, (1 + n) / (10 + n));
  for (size_t i = 0; i < model_.size(); i++) {
    if (other_[i].is_floating_point()) {
      other_[i].lerp_(model_[i].tensor, 1 - decay);
    } else {
      other_[i].copy_(model_[i].tensor);
    }
  }
}

NamedTensors Ema::state() const {
  NamedTensors named;
  for (size_t i = 0; i < model_.size(); i++) named.push_back({model_[i].name + ".trained", other_[i]});
  named.push_back({"average.updates", updates_});
  return named;
}

}  // namespace dinov3_det
