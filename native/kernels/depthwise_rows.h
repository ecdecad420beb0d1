#pragma once

#include <cstdint>

// The inner loops of the depthwise weight gradient, compiled once for each instruction set (kernels/vectors.h).
namespace dinov3_det {

// Of a 7x7 convolution with padding 3, over one group of channels: a position's channels lie together and `stride`
// values lie between positions. Values are float, or bfloat16 as its bits.
template <class T>
struct DepthwiseRows {
  // output[x][c] = bias[c] + sum over ky, kx of weights[ky][kx][c] * inputs[ky][x + kx - 3][c], x + kx - 3 in the row;
  // a row of the input that is outside is null.
  void (*convolve)(const T* const* inputs, const float* weights, const float* bias, int64_t width, int64_t stride,
                   T* output);
  // One row of output positions against one row of the input:
  //   sums[kx][c] += sum over x of gradient[x][c] * input[x + kx - 3][c], x + kx - 3 in the row
  void (*weight_gradient)(const T* input, const T* gradient, int64_t width, int64_t stride, float* sums);
};

struct DepthwiseKernels {
  int64_t group;  // channels
  DepthwiseRows<float> float32;
  DepthwiseRows<uint16_t> bfloat16;
};

namespace avx512 {
extern const DepthwiseKernels depthwise_kernels;
}
namespace avx2 {
extern const DepthwiseKernels depthwise_kernels;
}
namespace baseline {
extern const DepthwiseKernels depthwise_kernels;
}

}  // namespace dinov3_det
