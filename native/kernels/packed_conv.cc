#include "kernels/packed_conv.h"

#include <vector>

#include "kernels/onednn_operators.h"

namespace dinov3_det {

namespace {

std::vector<int64_t> both(int64_t value) { return {value, value}; }

}  // namespace

at::Tensor pack_conv_weight(const at::Tensor& weight, at::IntArrayRef x_shape, int64_t stride, int64_t padding) {
  return call(onednn_operators().pack_conv_weight, weight, both(padding), both(stride), both(1), /*groups=*/int64_t{1},
              x_shape.vec());
}

at::Tensor packed_conv(const at::Tensor& x, const at::Tensor& packed_weight, const at::Tensor& bias, int64_t stride,
                       int64_t padding) {
  return call(onednn_operators().conv, x, packed_weight, bias, both(padding), both(stride), both(1),
              /*groups=*/int64_t{1}, "none", no_numbers(), "none");
}

}  // namespace dinov3_det
