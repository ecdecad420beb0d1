#include "lever_report.h"

#include <ATen/Context.h>

#include "base/cpu.h"
#include "base/device.h"
#include "base/levers.h"
#include "kernels/onednn_operators.h"
#include "train/device_graph.h"

namespace dinov3_det {

namespace {

#if defined(__GNUC__)
constexpr const char* kKernelsMissing = "";
#else
constexpr const char* kKernelsMissing = "this build is not by GCC or Clang";
#endif

Lever lever(const std::string& name, const std::string& missing) {
  const std::string reason = lever_disabled(name) ? "switched off by DINOV3_DET_DISABLE" : missing;
  return {name, reason.empty(), reason};
}

}  // namespace

std::vector<Lever> levers() {
  const auto isa = [](Isa least) { return cpu_isa() >= least ? "" : "this processor or this build does not have it"; };
  return {
      lever("allocator", ""),
      lever("depthwise", kKernelsMissing),
      lever("fused-mlp", at::hasMKLDNN() ? "" : "this LibTorch has no oneDNN"),
      lever("mlp-rows", kKernelsMissing),
      lever("packed-weights", onednn_operators().all() ? "" : "this LibTorch does not have oneDNN's operators for it"),
      lever("pixel-table", ""),
      lever("avx2", isa(Isa::kAvx2)),
      lever("avx512", isa(Isa::kAvx512)),
      lever("bf16", cpu_has_bf16() ? "" : "this processor does not multiply bfloat16 in hardware"),
      lever("graph", cuda_device_count() > 0 ? graph_missing(c10::kCUDA) : "there is no GPU")};
}

}  // namespace dinov3_det
