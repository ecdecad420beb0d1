#include "kernels/depthwise_rows.h"

// DINOV3_DET_ISA names the namespace, DINOV3_DET_LANES the floats in a vector.
namespace dinov3_det::DINOV3_DET_ISA {

namespace {

constexpr int kKernel = 7;
constexpr int kPadding = 3;
constexpr int kLanes = DINOV3_DET_LANES;
// Output positions held in registers at once: with 7 sums and one input they must fit the register file.
constexpr int kStrip = kLanes == 8 ? 6 : 8;

#if defined(__GNUC__)
#define DINOV3_DET_UNROLL _Pragma("GCC unroll 16")
using Floats = float __attribute__((vector_size(sizeof(float) * kLanes), aligned(4)));
using Words = uint32_t __attribute__((vector_size(sizeof(float) * kLanes)));
using Halves = uint16_t __attribute__((vector_size(sizeof(uint16_t) * kLanes), aligned(2)));

inline Floats load(const float* values) { return *reinterpret_cast<const Floats*>(values); }

// The upper half of a float is its bfloat16.
inline Floats load(const uint16_t* values) {
  return (Floats)(__builtin_convertvector(*reinterpret_cast<const Halves*>(values), Words) << 16);
}
#else
#error "This kernel is written in the vector extension of GCC and Clang"
#endif

template <class T>
void rows(const T* input, const T* gradient, int64_t width, int64_t stride, float* sums) {
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

const DepthwiseRows depthwise_rows = {kLanes, rows<float>, rows<uint16_t>};

}  // namespace dinov3_det::DINOV3_DET_ISA
