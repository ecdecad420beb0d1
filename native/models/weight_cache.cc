#include "models/weight_cache.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace dinov3_det {

at::Tensor WeightCache::get(const at::Tensor& weight, at::ScalarType type) {
  if (c10::GradMode::is_enabled() || weight.scalar_type() == type) return weight;
  Copy& copy = copies_[weight.unsafeGetTensorImpl()];
  const uint32_t version = weight.unsafeGetTensorImpl()->version_counter().current_version();
  if (!copy.tensor.defined() || copy.version != version || copy.tensor.scalar_type() != type) {
    copy = {weight.to(type), version};
  }
  return copy.tensor;
}

}  // namespace dinov3_det
