#include "base/cpu.h"

#include "base/levers.h"

namespace dinov3_det {

#if defined(DINOV3_DET_X86_KERNELS)

Isa cpu_isa() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || lever_disabled("avx2"))
    return Isa::kBaseline;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || lever_disabled("avx512")) {
    return Isa::kAvx2;
  }
  return Isa::kAvx512;
}

bool cpu_has_bf16() { return __builtin_cpu_supports("avx512bf16") && !lever_disabled("bf16"); }

#else

Isa cpu_isa() { return Isa::kBaseline; }

bool cpu_has_bf16() { return false; }

#endif

}  // namespace dinov3_det
