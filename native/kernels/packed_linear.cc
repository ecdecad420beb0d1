#include "kernels/packed_linear.h"

#include <ATen/ATen.h>

#include "kernels/linear.h"
#include "kernels/onednn_operators.h"

namespace dinov3_det {

namespace {

at::Tensor call_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const char* after) {
  const c10::IValue optional_bias = bias.defined() ? c10::IValue(bias) : c10::IValue();
  return call(onednn_operators().linear, x, weight, optional_bias, after, no_numbers(), "none");
}

}  // namespace

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, int64_t rows)
    : packed_(weights_are_packed(weight.scalar_type())),
      weight_(packed_ ? call(onednn_operators().pack_linear_weight, weight.contiguous(), rows) : weight),
      bias_(bias) {}

at::Tensor PackedLinear::linear(const at::Tensor& x) const {
  return packed_ ? call_pointwise(x, weight_, bias_, "none") : dinov3_det::linear(x, weight_, bias_);
}

at::Tensor PackedLinear::gelu(const at::Tensor& x) const {
  return packed_ ? call_pointwise(x, weight_, bias_, "gelu") : at::gelu(linear(x));
}

at::Tensor PackedLinear::add(const at::Tensor& x, const at::Tensor& residual) const {
  if (!packed_) return residual + linear(x);
  return call(onednn_operators().linear_binary, x, residual, weight_, bias_, "add");
}

}  // namespace dinov3_det
