#pragma once

#include <ATen/core/Tensor.h>

#include <unordered_map>

namespace dinov3_det {

// Weights in the type of computation. While gradients are asked for they are handed out as they are: the cast must be a
// part of the graph. Otherwise a cast copy is kept until the weight changes.
class WeightCache {
 public:
  at::Tensor get(const at::Tensor& weight, at::ScalarType type);

 private:
  struct Copy {
    at::Tensor tensor;
    uint32_t version;
  };
  std::unordered_map<const c10::TensorImpl*, Copy> copies_;
};

}  // namespace dinov3_det
