#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/GradMode.h>

#include <optional>
#include <utility>

namespace dinov3_det {

// LibTorch's operators that torch.compile uses for oneDNN: no header declares them, and not every build has them. They
// are looked up by name and called with their arguments on a stack.
struct OneDnnOperators {
  using Operator = std::optional<c10::OperatorHandle>;
  static Operator find(const char* name, const char* overload = "");

  Operator pack_linear_weight = find("mkldnn::_reorder_linear_weight");
  Operator linear = find("mkldnn::_linear_pointwise");
  Operator linear_binary = find("mkldnn::_linear_pointwise", "binary");
  Operator pack_conv_weight = find("mkldnn::_reorder_convolution_weight");
  Operator conv = find("mkldnn::_convolution_pointwise");

  bool all() const { return pack_linear_weight && linear && linear_binary && pack_conv_weight && conv; }
};
const OneDnnOperators& onednn_operators();

// Whether weights of this type are packed on a CPU: the operators are there and take them, and "packed-weights" is not
// disabled.
bool weights_are_packed(at::ScalarType type);

// None of them has a gradient. oneDNN must not think so: asked for a product that is trained, it takes its reference
// code for packed float32 weights on a processor with AVX2 alone, which is 300 times slower.
template <class... Arguments>
at::Tensor call(const OneDnnOperators::Operator& op, Arguments&&... arguments) {
  const c10::NoGradGuard no_grad;
  torch::jit::Stack stack{c10::IValue(std::forward<Arguments>(arguments))...};
  op->callBoxed(&stack);
  return stack.front().toTensor();
}

// For what is done to each value after a product or a convolution, where it takes none.
inline c10::List<std::optional<at::Scalar>> no_numbers() { return c10::List<std::optional<at::Scalar>>(); }

}  // namespace dinov3_det
