#include "train/class_weights.h"

#include <ATen/ATen.h>

namespace dinov3_det {

at::Tensor weigh_classes(const at::Tensor& loss, const at::Tensor& labels, const at::Tensor& weights) {
  return weights.defined() ? loss * weights.take(labels) : loss;
}

}  // namespace dinov3_det
