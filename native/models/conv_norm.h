#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <string>

#include "base/named_tensor.h"
#include "models/layers.h"

namespace dinov3_det {

// A convolution without bias, GroupNorm and SiLU, which mmdet calls a ConvModule.
struct ConvNorm {
  at::Tensor weight;  // [C_out, C_in / groups, k, k], padded so that stride 1 keeps the size
  LayerNorm norm;     // [C_out]: scale and shift of the normalised groups
  int64_t stride = 1;
  int64_t groups = 1;
};

constexpr double kGroupNormEps = 1e-5;

// 32 groups of channels, or groups of 8 where 32 do not go into them, or one.
int64_t norm_groups(int64_t channels);

// Weights uniform within 1 / sqrt(fan-in), as the convolutions of mmdet's necks begin; 0 without a generator. Depthwise
// where `groups` is the number of channels.
ConvNorm make_conv_norm(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator,
                        int64_t stride = 1, int64_t groups = 1);

// x [N, C_in, H, W] -> [N, C_out, h, w] of its type
at::Tensor conv_norm(WeightCache& weights, const at::Tensor& x, const ConvNorm& layer);

// The two halves, for a convolution that several norms share.
at::Tensor conv_without_bias(WeightCache& weights, const at::Tensor& x, const at::Tensor& weight, int64_t stride = 1,
                             int64_t groups = 1);
at::Tensor norm_and_activate(const at::Tensor& x, const LayerNorm& norm);

// Under mmdet's names: `conv.weight`, `gn.weight`, `gn.bias`.
void append_layer(NamedTensors& all, const std::string& name, const ConvNorm& layer);

// The same layer in TorchScript.
torch::jit::Module script_conv_norm(ScriptBuilder& builder, const ConvNorm& layer);
torch::jit::Module script_group_norm(ScriptBuilder& builder, const LayerNorm& norm);
torch::jit::Module script_conv_without_bias(ScriptBuilder& builder, const at::Tensor& weight, int64_t stride = 1,
                                            int64_t groups = 1);

}  // namespace dinov3_det
