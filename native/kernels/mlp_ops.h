#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// What lies between the matrix products of an MLP, each in one pass over the rows [R, C], float32 or bfloat16, packed,
// on the calling thread: through kernels of our own (kernels/mlp_rows.h) or, without them, LibTorch's. Weights and sums
// are float32; sums are added to.

struct Norm {
  at::Tensor rows;  // [R, C]
  at::Tensor mean, rstd;
};
Norm layer_norm_rows(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias, double eps);

// The gradient of `rows`, written to x_gradient, and of the weight. norm is what layer_norm_rows gave.
void layer_norm_rows_backward(const at::Tensor& gradient, const at::Tensor& rows, const Norm& norm,
                              const at::Tensor& weight, at::Tensor x_gradient, at::Tensor weight_sums);

at::Tensor gelu_rows(const at::Tensor& rows);

// Makes `gradient` that of `rows`, adds its rows to sums [C], and gives gelu(rows) once more.
at::Tensor gelu_rows_backward(at::Tensor gradient, const at::Tensor& rows, at::Tensor sums);

// sums [C] += rows.sum(0)
void add_rows(const at::Tensor& rows, at::Tensor sums);

// sums += values, of any one shape
void add_values(const at::Tensor& values, at::Tensor sums);

}  // namespace dinov3_det
