#include "models/weight_cache.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "kernels/packed_conv.h"

namespace dinov3_det {

at::Tensor WeightCache::get(const at::Tensor& weight, at::ScalarType type) {
  if (c10::GradMode::is_enabled() || weight.scalar_type() == type) return weight;
  return kept(weight, type, {}, [&] { return weight.to(type); });
}

at::Tensor WeightCache::get_packed(const at::Tensor& weight, const at::Tensor& x, int64_t stride, int64_t padding) {
  return kept(weight, x.scalar_type(), x.sizes().vec(),
              [&] { return pack_conv_weight(weight.to(x.scalar_type()), x.sizes(), stride, padding); });
}

at::Tensor WeightCache::kept(const at::Tensor& weight, at::ScalarType type, std::vector<int64_t> x_shape,
                             const std::function<at::Tensor()>& make) {
  Copy& copy = copies_[weight.unsafeGetTensorImpl()];
  const uint32_t version = weight.unsafeGetTensorImpl()->version_counter().current_version();
  Key key{version, type, std::move(x_shape)};
  if (!copy.tensor.defined() || copy.key != key) copy = {make(), std::move(key)};
  return copy.tensor;
}

}  // namespace dinov3_det
