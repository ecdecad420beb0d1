#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// The second half of a ConvNeXt block. Float32 weights; the computation runs in the type of x.
struct ResidualMlp {
  at::Tensor norm_weight;    // [C]
  at::Tensor norm_bias;      // [C]
  at::Tensor expand_weight;  // [4C, C]
  at::Tensor expand_bias;    // [4C]
  at::Tensor reduce_weight;  // [C, 4C]
  at::Tensor reduce_bias;    // [C]
  at::Tensor gamma;          // [C], layer scale
};

// x + gamma * reduce(gelu(expand(layer_norm(y)))), x and y [N, C, H, W]. On a CPU it runs through some thousand
// positions at a time, so that what lies between the layers stays in the cache.
at::Tensor residual_mlp(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps);

}  // namespace dinov3_det
