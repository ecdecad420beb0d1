#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace dinov3_det {

// "fp32", "bf16", or "auto": bf16 where the device multiplies it in hardware. The backbone computes in this type; the
// weights, the head, the loss and the optimizer are float32 in any case.
c10::ScalarType compute_type(const std::string& precision, const c10::Device& device);

}  // namespace dinov3_det
