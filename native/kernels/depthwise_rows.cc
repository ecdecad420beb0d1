#include "kernels/depthwise_rows.h"

#include "kernels/vectors.h"

namespace dinov3_det::DINOV3_DET_ISA {

namespace {

constexpr int kKernel = 7;
constexpr int kPadding = 3;
// Output positions held in registers at once: with 7 sums and one input they must fit the register file.
constexpr int kStrip = kLanes == 8 ? 6 : 8;

template <class T>
void convolve(const T* const* inputs, const float* weights, const float* bias, int64_t width, int64_t stride,
              T* output) {
  for (int64_t begin = 0; begin < width; begin += kStrip) {
    Floats strip[kStrip];
    DINOV3_DET_UNROLL for (int i = 0; i < kStrip; i++) strip[i] = load(bias);
    for (int ky = 0; ky < kKernel; ky++) {
      if (inputs[ky] == nullptr) continue;
      Floats weight[kKernel];
      DINOV3_DET_UNROLL for (int k = 0; k < kKernel; k++) weight[k] = load(weights + (ky * kKernel + k) * kLanes);
      DINOV3_DET_UNROLL for (int j = 0; j < kStrip + kKernel - 1; j++) {
        const int64_t x = begin + j - kPadding;
        if (x < 0 || x >= width) continue;
        const Floats value = load(inputs[ky] + x * stride);
        DINOV3_DET_UNROLL for (int k = 0; k < kKernel; k++) {
          if (j - k >= 0 && j - k < kStrip) strip[j - k] += weight[k] * value;
        }
      }
    }
    DINOV3_DET_UNROLL for (int i = 0; i < kStrip; i++) {
      if (begin + i < width) store(output + (begin + i) * stride, strip[i]);
    }
  }
}

template <class T>
void weight_gradient(const T* input, const T* gradient, int64_t width, int64_t stride, float* sums) {
  Floats sum[kKernel];
  DINOV3_DET_UNROLL for (int k = 0; k < kKernel; k++) sum[k] = load(sums + k * kLanes);
  for (int64_t begin = 0; begin < width; begin += kStrip) {
    Floats strip[kStrip];
    DINOV3_DET_UNROLL for (int i = 0; i < kStrip; i++) {
      strip[i] = begin + i < width ? load(gradient + (begin + i) * stride) : Floats{};
    }
    DINOV3_DET_UNROLL for (int j = 0; j < kStrip + kKernel - 1; j++) {
      const int64_t x = begin + j - kPadding;
      if (x < 0 || x >= width) continue;
      const Floats value = load(input + x * stride);
      DINOV3_DET_UNROLL for (int k = 0; k < kKernel; k++) {
        if (j - k >= 0 && j - k < kStrip) sum[k] += strip[j - k] * value;
      }
    }
  }
  DINOV3_DET_UNROLL for (int k = 0; k < kKernel; k++) * reinterpret_cast<Floats*>(sums + k * kLanes) = sum[k];
}

}  // namespace

const DepthwiseKernels depthwise_kernels = {
    kLanes, {convolve<float>, weight_gradient<float>}, {convolve<uint16_t>, weight_gradient<uint16_t>}};

}  // namespace dinov3_det::DINOV3_DET_ISA
