#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <unordered_map>
#include <vector>

namespace dinov3_det {

// Copies of weights, each kept until the weight changes or another is asked for.
class WeightCache {
 public:
  // The weight in the type of computation. While gradients are asked for it is handed out as it is: the cast must be a
  // part of the graph.
  at::Tensor get(const at::Tensor& weight, at::ScalarType type);

  // The weight of a convolution of x as packed_conv takes it; without gradients only.
  at::Tensor get_packed(const at::Tensor& weight, const at::Tensor& x, int64_t stride, int64_t padding);

 private:
  struct Key {
    uint32_t version;
    at::ScalarType type;
    std::vector<int64_t> x_shape;  // of a packed one
    bool operator==(const Key&) const = default;
  };
  struct Copy {
    at::Tensor tensor;
    Key key;
  };
  at::Tensor kept(const at::Tensor& weight, at::ScalarType type, std::vector<int64_t> x_shape,
                  const std::function<at::Tensor()>& make);

  std::unordered_map<const c10::TensorImpl*, Copy> copies_;
};

}  // namespace dinov3_det
