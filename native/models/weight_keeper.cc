#include "models/weight_keeper.h"

#include <ATen/ATen.h>

#include <utility>

namespace dinov3_det {

WeightKeeper::WeightKeeper(HeldWeights& held, const char* name, NamedTensors model)
    : held_(held), name_(name), model_(std::move(model)) {
  held_.check_own("a copy of them");
  for (const NamedTensor& entry : model_) kept_.push_back(entry.tensor.detach().clone());
}

void WeightKeeper::put_in() {
  held_.take(name_);
  is_exchanged_ = true;
  exchange();
}

void WeightKeeper::take_out() {
  exchange();
  is_exchanged_ = false;
  held_.give_back();
}

void WeightKeeper::exchange() {
  for (size_t i = 0; i < model_.size(); i++) {
    const at::Tensor in_model = model_[i].tensor.variable_data();
    model_[i].tensor.set_data(kept_[i]);
    model_[i].tensor.unsafeGetTensorImpl()->bump_version();
    kept_[i] = in_model;
  }
}

}  // namespace dinov3_det
