#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// A linear layer on a CPU, float32 or bfloat16, whose weight is kept in the order in which oneDNN's kernels read it,
// with what follows the layer done on the way out. Where weights are not packed it keeps the weight as it is and
// gives the same.
class PackedLinear {
 public:
  // weight [C_out, C_in]; bias [C_out], undefined for none. `rows` is about how many will come at a time.
  PackedLinear(const at::Tensor& weight, const at::Tensor& bias, int64_t rows);

  // x [R, C_in] -> [R, C_out]
  at::Tensor linear(const at::Tensor& x) const;
  at::Tensor gelu(const at::Tensor& x) const;                             // gelu(linear(x))
  at::Tensor add(const at::Tensor& x, const at::Tensor& residual) const;  // residual + linear(x)

 private:
  bool packed_;
  at::Tensor weight_, bias_;
};

}  // namespace dinov3_det
