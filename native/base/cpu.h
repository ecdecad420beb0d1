#pragma once

namespace dinov3_det {

// The widest vectors that this processor and this build both know and DINOV3_DET_DISABLE leaves.
enum class Isa { kBaseline, kAvx2, kAvx512 };
Isa cpu_isa();

// Whether this processor multiplies bfloat16 in hardware. Without it bfloat16 is slower than float32.
bool cpu_has_bf16();

}  // namespace dinov3_det
