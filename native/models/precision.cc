#include "models/precision.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "cpu.h"

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

}  // namespace dinov3_det
