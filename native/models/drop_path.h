#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>

namespace dinov3_det {

// A residual block on some of the samples of a batch: (x, factor) -> x + factor * residual(x).
using ScaledBlock = std::function<at::Tensor(const at::Tensor& x, double factor)>;

// Stochastic depth (Huang et al. 2016), sample by sample as timm's drop_path: with probability `rate`, in [0, 1), a
// sample of x [N, C, H, W] skips the block, else its residual counts 1 / (1 - rate) times, so that the expectation
// stays. The block runs on the samples that are kept alone. Which these are, only the CPU generator decides.
at::Tensor drop_path(const at::Tensor& x, double rate, at::Generator& generator, const ScaledBlock& block);

}  // namespace dinov3_det
