#include "kernels/mlp_ops.h"

#include <ATen/ATen.h>

#include "base/cpu.h"
#include "base/levers.h"
#include "kernels/mlp_rows.h"
#include "kernels/typed_values.h"

namespace dinov3_det {

namespace {

// Null where there are none.
const MlpKernels* kernels() {
  static const MlpKernels* const chosen = []() -> const MlpKernels* {
    if (lever_disabled("mlp-rows")) return nullptr;
#if defined(DINOV3_DET_X86_KERNELS)
    if (cpu_isa() >= Isa::kAvx512) return &avx512::mlp_kernels;
    if (cpu_isa() >= Isa::kAvx2) return &avx2::mlp_kernels;
#endif
#if defined(__GNUC__)  // of GCC and Clang: MSVC lacks the vectors that the kernels are written in
    return &baseline::mlp_kernels;
#else
    return nullptr;
#endif
  }();
  return chosen;
}

float* floats(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

}  // namespace

Norm layer_norm_rows(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  if (kernels() == nullptr) {
    auto [out, mean, rstd] = at::native_layer_norm(rows, weight.sizes(), weight, bias, eps);
    return {std::move(out), std::move(mean), std::move(rstd)};
  }
  const int64_t count = rows.size(0), columns = rows.size(1);
  const Norm norm{at::empty_like(rows), at::empty({count}, weight.options()), at::empty({count}, weight.options())};
  for_type(*kernels(), rows, [&](const auto& kernel, const auto& values) {
    kernel.layer_norm(values(rows), floats(weight), floats(bias), static_cast<float>(eps), count, columns,
                      values(norm.rows), floats(norm.mean), floats(norm.rstd));
  });
  return norm;
}

void layer_norm_rows_backward(const at::Tensor& gradient, const at::Tensor& rows, const Norm& norm,
                              const at::Tensor& weight, at::Tensor x_gradient, at::Tensor weight_sums) {
  if (kernels() == nullptr) {
    const auto [x, w, _] = at::native_layer_norm_backward(gradient, rows, weight.sizes(), norm.mean, norm.rstd, weight,
                                                          c10::nullopt, {true, true, false});
    x_gradient.copy_(x);
    weight_sums.add_(w);
    return;
  }
  for_type(*kernels(), rows, [&](const auto& kernel, const auto& values) {
    kernel.layer_norm_backward(values(gradient), values(rows), floats(weight), floats(norm.mean), floats(norm.rstd),
                               rows.size(0), rows.size(1), values(x_gradient), floats(weight_sums));
  });
}

at::Tensor gelu_rows(const at::Tensor& rows) {
  if (kernels() == nullptr) return at::gelu(rows);
  const at::Tensor out = at::empty_like(rows);
  for_type(*kernels(), rows,
           [&](const auto& kernel, const auto& values) { kernel.gelu(values(rows), values(out), rows.numel()); });
  return out;
}

at::Tensor gelu_rows_backward(at::Tensor gradient, const at::Tensor& rows, at::Tensor sums) {
  if (kernels() == nullptr) {
    gradient.copy_(at::gelu_backward(gradient, rows));
    add_rows(gradient, sums);
    return at::gelu(rows);
  }
  const at::Tensor active = at::empty_like(rows);
  for_type(*kernels(), rows, [&](const auto& kernel, const auto& values) {
    kernel.gelu_backward(values(rows), values(gradient), values(active), rows.size(0), rows.size(1), floats(sums));
  });
  return active;
}

void add_rows(const at::Tensor& rows, at::Tensor sums) {
  if (kernels() == nullptr) {
    sums.add_(rows.sum(0, false, at::kFloat));
    return;
  }
  for_type(*kernels(), rows, [&](const auto& kernel, const auto& values) {
    kernel.add_rows(values(rows), rows.size(0), rows.size(1), floats(sums));
  });
}

void add_values(const at::Tensor& values, at::Tensor sums) { add_rows(values.reshape({1, -1}), sums.reshape({-1})); }

}  // namespace dinov3_det
