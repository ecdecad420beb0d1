#pragma once

#include <cstdint>

// The passes over rows [rows, columns] between the matrix products of an MLP, compiled once for each instruction set
// (kernels/vectors.h). Values lie packed; a bfloat16 is its bits. Sums are float32 and are added to.
namespace dinov3_det {

template <class T>
struct MlpRows {
  // y = gelu(x), by the error function
  void (*gelu)(const T* x, T* y, int64_t count);
  // active = gelu(x); gradient = gradient * gelu'(x), in its place; sums [columns] += the rows of the new gradient
  void (*gelu_backward)(const T* x, T* gradient, T* active, int64_t rows, int64_t columns, float* sums);
  // y = (x - mean) * rstd * weight + bias; mean and rstd [rows] are of each row
  void (*layer_norm)(const T* x, const float* weight, const float* bias, float eps, int64_t rows, int64_t columns, T* y,
                     float* mean, float* rstd);
  // of the same; weight_sums [columns] += the gradient of weight
  void (*layer_norm_backward)(const T* gradient, const T* x, const float* weight, const float* mean, const float* rstd,
                              int64_t rows, int64_t columns, T* x_gradient, float* weight_sums);
  // sums [columns] += the rows
  void (*add_rows)(const T* x, int64_t rows, int64_t columns, float* sums);
};

struct MlpKernels {
  MlpRows<float> float32;
  MlpRows<uint16_t> bfloat16;
};

namespace avx512 {
extern const MlpKernels mlp_kernels;
}
namespace avx2 {
extern const MlpKernels mlp_kernels;
}
namespace baseline {
extern const MlpKernels mlp_kernels;
}

}  // namespace dinov3_det
