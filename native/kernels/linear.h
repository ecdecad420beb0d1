#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// A linear layer through the fastest kernels that LibTorch has on a CPU: float32 as a 1x1 convolution, which oneDNN
// does, since at::linear goes to MKL, half as fast on an AMD processor. rows [R, C_in], weight [C_out, C_in], bias
// [C_out] or undefined, all of one type -> [R, C_out].
at::Tensor linear(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias);

// The gradient of its weight, [C_out, C_in]; gradient [R, C_out] is that of what linear gave.
at::Tensor linear_weight_gradient(const at::Tensor& gradient, const at::Tensor& rows);

// Whether these are at hand for tensors like x: float32 or bfloat16 on a CPU, in a LibTorch with oneDNN.
bool linear_kernels_usable(const at::Tensor& x);

}  // namespace dinov3_det
