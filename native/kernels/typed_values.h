#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace dinov3_det {

// Calls work(kernels of the type of `like`, values): the second gives a tensor's values as these kernels take them, a
// bfloat16 as its bits. `kernels` has one for float32 and one for bfloat16.
template <class Kernels, class Work>
void for_type(const Kernels& kernels, const at::Tensor& like, const Work& work) {
  if (like.scalar_type() == at::kBFloat16) {
    work(kernels.bfloat16,
         [](const at::Tensor& tensor) { return reinterpret_cast<uint16_t*>(tensor.data_ptr<c10::BFloat16>()); });
  } else {
    work(kernels.float32, [](const at::Tensor& tensor) { return tensor.data_ptr<float>(); });
  }
}

}  // namespace dinov3_det
