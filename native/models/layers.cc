#include "models/layers.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "kernels/onednn_operators.h"
#include "kernels/packed_conv.h"
#include "models/weight_cache.h"

namespace dinov3_det {

namespace {

// Weights uniform within the bound.
Affine make_conv(int64_t in_channels, int64_t out_channels, int64_t kernel, double bound, at::Generator& generator) {
  at::Tensor weight = at::zeros({out_channels, in_channels, kernel, kernel});
  if (generator.defined()) weight.uniform_(-bound, bound, generator);
  return {weight, at::zeros({out_channels})};
}

}  // namespace

LayerNorm make_layer_norm(int64_t channels) { return {at::ones({channels}), at::zeros({channels})}; }

Affine make_xavier_conv(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator) {
  const double bound = std::sqrt(6.0 / (kernel * kernel * static_cast<double>(in_channels + out_channels)));
  return make_conv(in_channels, out_channels, kernel, bound, generator);
}

Affine make_kaiming_conv(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator) {
  const double bound = std::sqrt(3.0 / static_cast<double>(kernel * kernel * in_channels));
  return make_conv(in_channels, out_channels, kernel, bound, generator);
}

at::Tensor conv2d_with_gradients(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                                 int64_t padding, int64_t groups) {
  const bool is_narrow = x.size(2) < weight.size(2) || x.size(3) < weight.size(3);
  const bool in_float32 = is_narrow && x.is_cpu() && x.scalar_type() == at::kBFloat16;
  const at::ScalarType type = in_float32 ? at::kFloat : x.scalar_type();
  const at::Tensor converted_bias = bias.defined() ? bias.to(type) : bias;
  return at::conv2d(x.to(type), weight.to(type), converted_bias, {stride, stride}, {padding, padding}, {1, 1}, groups)
      .to(x.scalar_type());
}

at::Tensor conv2d(WeightCache& weights, const at::Tensor& x, const Affine& conv, int64_t stride, int64_t padding) {
  const at::ScalarType type = x.scalar_type();
  if (x.is_cpu() && !c10::GradMode::is_enabled() && weights_are_packed(type)) {
    const at::Tensor packed = weights.get_packed(conv.weight, x, stride, padding);
    return packed_conv(x, packed, conv.bias.to(type), stride, padding);
  }
  return conv2d_with_gradients(x, weights.get(conv.weight, type), conv.bias, stride, padding);
}

at::Tensor layer_norm_channels_first(const at::Tensor& x, const LayerNorm& norm) {
  const at::ScalarType type = x.scalar_type();
  const at::Tensor channels_last = x.permute({0, 2, 3, 1});  // [N, H, W, C]
  return at::layer_norm(channels_last, norm.weight.sizes(), norm.weight.to(type), norm.bias.to(type), kLayerNormEps)
      .permute({0, 3, 1, 2});  // [N, C, H, W]
}

}  // namespace dinov3_det
