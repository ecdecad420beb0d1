#include "train/ema.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

namespace dinov3_det {

Ema::Ema(NamedTensors tensors, double decay)
    : model_(std::move(tensors)),
      updates_(at::zeros({}, at::kFloat)),
      share_(at::zeros({}, model_.front().tensor.options().dtype(at::kFloat).requires_grad(false))),
      decay_(decay) {
  for (const NamedTensor& entry : model_) other_.push_back(entry.tensor.detach().clone());
}

void Ema::prepare(int64_t uncounted) {
  const double n = updates() + static_cast<double>(uncounted) + 1;
  share_.fill_(1 - std::min(decay_, (1 + n) / (10 + n)));
}

void Ema::update(const at::Tensor& found_inf) {
  const c10::NoGradGuard no_grad;
  const at::Tensor share = share_ * (1 - found_inf);
  for (size_t i = 0; i < model_.size(); i++) {
    if (other_[i].is_floating_point()) {
      other_[i].lerp_(model_[i].tensor, share.to(other_[i].scalar_type()));
    } else {
      other_[i].copy_(model_[i].tensor);
    }
  }
}

void Ema::count(int64_t updates) { this->updates() += static_cast<float>(updates); }

NamedTensors Ema::state() const {
  NamedTensors named;
  for (size_t i = 0; i < model_.size(); i++) named.push_back({model_[i].name + ".trained", other_[i]});
  named.push_back({"average.updates", updates_});
  return named;
}

}  // namespace dinov3_det
