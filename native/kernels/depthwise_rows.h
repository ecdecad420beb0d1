#pragma once

#include <cstdint>

// The inner loops of the depthwise weight gradient, compiled once for each instruction set (CMakeLists.txt). The
// source must not include a header with inline functions: the linker keeps one copy of each, and a copy with AVX-512
// in it would then run on every machine.
namespace dinov3_det {

// One row of output positions against one row of the input, over one group of channels:
//   sums[kx][c] += sum over x of gradient[x][c] * input[x + kx - 3][c], for kx in 0..6, where x + kx - 3 is in the row.
// A position's channels lie together and `stride` values lie between positions. Values are float, or bfloat16 as its
// bits. `group` channels are read; `sums` holds 7 * group floats.
struct DepthwiseRows {
  int64_t group;
  void (*float32)(const float* input, const float* gradient, int64_t width, int64_t stride, float* sums);
  void (*bfloat16)(const uint16_t* input, const uint16_t* gradient, int64_t width, int64_t stride, float* sums);
};

namespace avx512 {
extern const DepthwiseRows depthwise_rows;
}
namespace avx2 {
extern const DepthwiseRows depthwise_rows;
}
namespace baseline {
extern const DepthwiseRows depthwise_rows;
}

}  // namespace dinov3_det
