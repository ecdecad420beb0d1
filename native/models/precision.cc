#include "models/precision.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "base/cpu.h"

namespace dinov3_det {

namespace {

bool has_bf16(const c10::Device& device) {
  if (device.is_cuda()) return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();  // Ampere or newer
  return cpu_has_bf16() && at::hasMKLDNN();
}

}  // namespace

c10::ScalarType compute_type(const std::string& precision, const c10::Device& device) {
  if (precision == "fp32") return at::kFloat;
  if (precision == "bf16") return at::kBFloat16;
  TORCH_CHECK(precision == "auto", "unknown precision \"", precision, "\"");
  return has_bf16(device) ? at::kBFloat16 : at::kFloat;
}

// LibTorch has newer setters too, one for each operation; these set both, and it refuses to compute where the two
// differ.
Float32Products::Float32Products(const std::string& precision, const c10::Device& device) : on_gpu_(device.is_cuda()) {
  if (!on_gpu_) return;
  at::Context& context = at::globalContext();
  before_matmul_ = context.allowTF32CuBLAS();
  before_conv_ = context.allowTF32CuDNN(at::Float32Op::CONV);
  context.setAllowTF32CuBLAS(precision != "fp32");
  context.setAllowTF32CuDNN(precision != "fp32");
}

Float32Products::~Float32Products() {
  if (!on_gpu_) return;
  at::globalContext().setAllowTF32CuBLAS(before_matmul_);
  at::globalContext().setAllowTF32CuDNN(before_conv_);
}

}  // namespace dinov3_det
