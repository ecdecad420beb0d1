#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"
#include "models/held_weights.h"

namespace dinov3_det {

// Keeps other weights beside those of a model. Only while an `Exchanged` lives does the model hold these, and the
// keeper the model's own. No value is moved. Who keeps a copy of a weight sees by its version that it is another one
// now.
class WeightKeeper {
 public:
  WeightKeeper(const WeightKeeper&) = delete;
  WeightKeeper& operator=(const WeightKeeper&) = delete;

 protected:
  // `name` is what they are called in messages. The kept weights begin as copies of the model's own.
  WeightKeeper(HeldWeights& held, const char* name, NamedTensors model);
  ~WeightKeeper() = default;

  bool is_exchanged() const { return is_exchanged_; }
  const NamedTensors& model() const { return model_; }
  const std::vector<at::Tensor>& kept() const { return kept_; }  // the model's own while the weights are exchanged

 private:
  friend class Exchanged;
  void put_in();
  void take_out();
  void exchange();

  HeldWeights& held_;
  const char* name_;
  NamedTensors model_;
  std::vector<at::Tensor> kept_;
  bool is_exchanged_ = false;
};

// While it lives a model holds the weights that the keeper keeps beside it; without a keeper it holds its own. Throws
// where the model holds other weights than its own already.
class Exchanged {
 public:
  explicit Exchanged(WeightKeeper* keeper) : keeper_(keeper) {
    if (keeper_ != nullptr) keeper_->put_in();
  }
  ~Exchanged() {
    if (keeper_ != nullptr) keeper_->take_out();
  }
  Exchanged(const Exchanged&) = delete;
  Exchanged& operator=(const Exchanged&) = delete;

 private:
  WeightKeeper* keeper_;
};

}  // namespace dinov3_det
