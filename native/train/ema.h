#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"
#include "models/weight_keeper.h"

namespace dinov3_det {

// Exponential moving average of a model's weights, as timm's ModelEmaV2 keeps it: average = d * average + (1 - d) *
// weight after each step, of parameters and floating point buffers (running statistics); what else there is, is copied.
// The decay d warms up as TensorFlow's ExponentialMovingAverage does, min(decay, (1 + n) / (10 + n)) at the n-th
// update, so that the random first weights are forgotten.
//
// The model itself holds the average: who detects, saves or exports gets that. Only for a training step
// `TrainedWeights` puts the trained weights in its place.
class Ema : public WeightKeeper {
 public:
  // The tensors of a model that holds its own, each a weight to train and so far its average too.
  Ema(HeldWeights& held, NamedTensors tensors, double decay);

  // To be called before an update that follows so many that are not counted yet.
  void prepare(int64_t uncounted);

  // Takes the trained weights into the average, in the lifetime of a TrainedWeights; leaves it as it is where found_inf
  // (a scalar on their device) is 1. What depends on the number of the update was prepared, so that this may be a part
  // of a graph.
  void update(const at::Tensor& found_inf);

  // Of what was updated so many were good.
  void count(int64_t updates);

  // What the model does not hold, to be saved with it: "<tensor>.trained", and the number of updates.
  NamedTensors state() const;

 private:
  float& updates() const { return *updates_.data_ptr<float>(); }

  at::Tensor updates_;  // scalar, on the host
  at::Tensor share_;    // scalar on the model's device: of the trained weights, 1 - d
  double decay_;
};

using TrainedWeights = Exchanged;

}  // namespace dinov3_det
