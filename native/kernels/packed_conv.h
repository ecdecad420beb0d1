#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// Convolutions on a CPU where weights_are_packed, without a gradient.

// weight [C_out, C_in, kh, kw] in the order in which oneDNN reads it to convolve an x of this shape and type with.
at::Tensor pack_conv_weight(const at::Tensor& weight, at::IntArrayRef x_shape, int64_t stride, int64_t padding);

// x [N, C_in, H, W] -> [N, C_out, h, w]
at::Tensor packed_conv(const at::Tensor& x, const at::Tensor& packed_weight, const at::Tensor& bias, int64_t stride,
                       int64_t padding);

}  // namespace dinov3_det
