#include "kernels/packed_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <optional>
#include <utility>

#include "kernels/linear.h"
#include "levers.h"

namespace dinov3_det {

namespace {

// What torch.compile uses: no header declares these operators, and not every build has them. They are looked up by name
// and called with their arguments on a stack.
struct Operators {
  static std::optional<c10::OperatorHandle> find(const char* name, const char* overload) {
    return c10::Dispatcher::singleton().findSchema({name, overload});
  }
  std::optional<c10::OperatorHandle> reorder = find("mkldnn::_reorder_linear_weight", "");
  std::optional<c10::OperatorHandle> pointwise = find("mkldnn::_linear_pointwise", "");
  std::optional<c10::OperatorHandle> binary = find("mkldnn::_linear_pointwise", "binary");
};

const Operators& operators() {
  static const Operators found;
  return found;
}

bool weights_are_packed() {
  static const bool packed = !lever_disabled("packed-weights") && packed_linear_available();
  return packed;
}

template <class... Arguments>
at::Tensor call(const c10::OperatorHandle& op, Arguments&&... arguments) {
  torch::jit::Stack stack{c10::IValue(std::forward<Arguments>(arguments))...};
  op.callBoxed(&stack);
  return stack.front().toTensor();
}

at::Tensor call_pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const char* after) {
  const c10::IValue optional_bias = bias.defined() ? c10::IValue(bias) : c10::IValue();
  return call(*operators().pointwise, x, weight, optional_bias, after, c10::List<std::optional<at::Scalar>>(), "none");
}

}  // namespace

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, int64_t rows)
    : weight_(weights_are_packed() ? call(*operators().reorder, weight.contiguous(), rows) : weight), bias_(bias) {}

at::Tensor PackedLinear::linear(const at::Tensor& x) const {
  return weights_are_packed() ? call_pointwise(x, weight_, bias_, "none") : dinov3_det::linear(x, weight_, bias_);
}

at::Tensor PackedLinear::gelu(const at::Tensor& x) const {
  return weights_are_packed() ? call_pointwise(x, weight_, bias_, "gelu") : at::gelu(linear(x));
}

at::Tensor PackedLinear::add(const at::Tensor& x, const at::Tensor& residual) const {
  if (!weights_are_packed()) return residual + linear(x);
  return call(*operators().binary, x, residual, weight_, bias_, "add");
}

bool packed_linear_available() { return operators().reorder && operators().pointwise && operators().binary; }

}  // namespace dinov3_det
