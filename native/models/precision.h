#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace dinov3_det {

// "fp32", "bf16", or "auto": bf16 where the device multiplies it in hardware. The backbone computes in this type; the
// weights, the head, the loss and the optimizer are float32 in any case.
c10::ScalarType compute_type(const std::string& precision, const c10::Device& device);

// While it lives, a GPU multiplies what is float32 as the precision has it: "fp32" in float32; "bf16" and "auto" in
// TF32 (float32 with a mantissa of 10 bits), which is several times as fast from Ampere on. On the CPU it does nothing.
class Float32Products {
 public:
  Float32Products(const std::string& precision, const c10::Device& device);
  ~Float32Products();
  Float32Products(const Float32Products&) = delete;
  Float32Products& operator=(const Float32Products&) = delete;

 private:
  bool on_gpu_;
  bool before_matmul_ = false;
  bool before_conv_ = false;
};

}  // namespace dinov3_det
