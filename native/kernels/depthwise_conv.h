#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// 7x7 depthwise convolution with padding 3, x [N, C, H, W], weight [C, 1, 7, 7], bias [C], the same as at::conv2d.
// Where weight and bias have another type than x they are cast to it; our own kernels, for channels_last memory on a
// CPU, take them as float32. oneDNN's forward takes five times as long as these, and its gradient of the weight longer
// than everything else in the block.
at::Tensor depthwise_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// gradient and x [N, C, H, W], both float32 or both bfloat16, channels_last on a CPU -> [C, 1, 7, 7] float32. The order
// of summation depends on the shape alone, not on the number of threads.
at::Tensor depthwise_weight_gradient(const at::Tensor& gradient, const at::Tensor& x);

}  // namespace dinov3_det
