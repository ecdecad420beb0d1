#include "models/conv_norm.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/weight_cache.h"

namespace dinov3_det {

namespace {
constexpr int64_t kGroups = 32;
constexpr int64_t kGroupChannels = 8;
}  // namespace

int64_t norm_groups(int64_t channels) {
  if (channels % kGroups == 0) return kGroups;
  return channels % kGroupChannels == 0 ? channels / kGroupChannels : 1;
}

ConvNorm make_conv_norm(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator,
                        int64_t stride, int64_t groups) {
  const int64_t fan_in = in_channels / groups * kernel * kernel;
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  at::Tensor weight = at::zeros({out_channels, in_channels / groups, kernel, kernel});
  if (generator.defined()) weight.uniform_(-bound, bound, generator);
  return {weight, make_layer_norm(out_channels), stride, groups};
}

at::Tensor conv_without_bias(WeightCache& weights, const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                             int64_t groups) {
  const int64_t padding = weight.size(2) / 2;
  return conv2d_with_gradients(x, weights.get(weight, x.scalar_type()), /*bias=*/{}, stride, padding, groups);
}

at::Tensor norm_and_activate(const at::Tensor& x, const LayerNorm& norm) {
  const at::ScalarType type = x.scalar_type();
  return at::silu(at::group_norm(x, norm_groups(x.size(1)), norm.weight.to(type), norm.bias.to(type), kGroupNormEps));
}

at::Tensor conv_norm(WeightCache& weights, const at::Tensor& x, const ConvNorm& layer) {
  return norm_and_activate(conv_without_bias(weights, x, layer.weight, layer.stride, layer.groups), layer.norm);
}

void append_layer(NamedTensors& all, const std::string& name, const ConvNorm& layer) {
  all.push_back({name + ".conv.weight", layer.weight});
  append_layer(all, name + ".gn", layer.norm);
}

}  // namespace dinov3_det
