#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <string>

#include "base/named_tensor.h"

namespace torch::jit {
struct Module;
}

namespace dinov3_det {

class ScriptBuilder;
class WeightCache;

constexpr double kLayerNormEps = 1e-6;

struct LayerNorm {
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]
};

struct Affine {
  at::Tensor weight;  // convolution [C_out, C_in / groups, kh, kw] or linear [C_out, C_in]
  at::Tensor bias;    // [C_out]
};

LayerNorm make_layer_norm(int64_t channels);  // 1 and 0

// A convolution as torchvision's SSD begins with: Xavier uniform weights, or 0 without a generator, and zero biases.
Affine make_xavier_conv(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator);

// As torchvision's FeaturePyramidNetwork begins: weights of kaiming_uniform_ with a = 1, the rest as above.
Affine make_kaiming_conv(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator);

// at::conv2d of x [N, C, H, W] in its type, with gradients; weight and bias (perhaps undefined) are converted. A map
// that is smaller than the kernel is computed in float32 on a CPU: oneDNN's kernels for bfloat16 give gradients there
// that are not numbers.
at::Tensor conv2d_with_gradients(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                                 int64_t padding, int64_t groups = 1);

// In the type of x [N, C, H, W].
at::Tensor conv2d(WeightCache& weights, const at::Tensor& x, const Affine& conv, int64_t stride = 1,
                  int64_t padding = 0);

// x [N, C, H, W], over C, in the type of x. In channels_last memory this copies nothing.
at::Tensor layer_norm_channels_first(const at::Tensor& x, const LayerNorm& norm);

template <class Layer>
void append_layer(NamedTensors& all, const std::string& name, const Layer& layer) {
  all.push_back({name + ".weight", layer.weight});
  all.push_back({name + ".bias", layer.bias});
}

// The same layers in TorchScript.
torch::jit::Module script_layer_norm_channels_first(ScriptBuilder& builder, const LayerNorm& norm);
torch::jit::Module script_conv(ScriptBuilder& builder, const Affine& conv, int64_t stride, int64_t padding);

}  // namespace dinov3_det
