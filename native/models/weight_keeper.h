#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"

namespace dinov3_det {

// Gives each tensor the values of its counterpart and takes its own for them. No value is moved. Who keeps a copy of a
// weight sees by its version that it is another one now.
void exchange(const NamedTensors& tensors, std::vector<at::Tensor>& counterparts);

// While it lives a model holds the weights that `Keeper` keeps beside it; without a keeper it holds its own.
template <class Keeper>
class Exchanged {
 public:
  explicit Exchanged(Keeper* keeper) : keeper_(keeper) {
    if (keeper_ != nullptr) keeper_->exchange();
  }
  ~Exchanged() {
    if (keeper_ != nullptr) keeper_->exchange();
  }
  Exchanged(const Exchanged&) = delete;
  Exchanged& operator=(const Exchanged&) = delete;

 private:
  Keeper* keeper_;
};

}  // namespace dinov3_det
