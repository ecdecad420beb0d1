#include "models/convnext.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/depthwise_conv.h"
#include "kernels/residual_mlp.h"
#include "models/drop_path.h"

namespace dinov3_det {

namespace {

constexpr double kLayerScaleInit = 1e-6;
constexpr double kWeightStd = 0.02;

// The reference truncates at +-2, a hundred standard deviations away: a plain normal is the same distribution.
Affine make_affine(at::IntArrayRef weight_shape, at::Generator& generator) {
  at::Tensor weight = at::zeros(weight_shape);
  if (generator.defined()) weight.normal_(0, kWeightStd, generator);
  return {weight, at::zeros({weight_shape[0]})};
}

// A convolution whose steps are as wide as its kernel.
at::Tensor strided_conv(WeightCache& weights, const at::Tensor& x, const Affine& conv) {
  return conv2d(weights, x, conv, conv.weight.size(2));
}

}  // namespace

ConvNextSize convnext_size(const std::string& name) {
  if (name == "convnext_test") return {{1, 1, 2, 1}, {24, 48, 96, 192}};
  if (name == "convnext_tiny") return {{3, 3, 9, 3}, {96, 192, 384, 768}};
  if (name == "convnext_small") return {{3, 3, 27, 3}, {96, 192, 384, 768}};
  if (name == "convnext_base") return {{3, 3, 27, 3}, {128, 256, 512, 1024}};
  if (name == "convnext_large") return {{3, 3, 27, 3}, {192, 384, 768, 1536}};
  TORCH_CHECK(false, "unknown ConvNeXt \"", name, "\"");
}

ConvNext::ConvNext(const ConvNextSize& size, bool pyramid, at::Generator& generator) {
  int64_t in_channels = 3;
  for (size_t i = 0; i < size.dims.size(); i++) {
    const int64_t dim = size.dims[i];
    const int64_t kernel = i == 0 ? 4 : 2;
    Stage stage;
    stage.downsample_conv = make_affine({dim, in_channels, kernel, kernel}, generator);
    stage.downsample_norm = make_layer_norm(i == 0 ? dim : in_channels);
    for (int64_t j = 0; j < size.depths[i]; j++) {
      stage.blocks.push_back({make_affine({dim, 1, 7, 7}, generator),
                              make_layer_norm(dim),
                              make_affine({4 * dim, dim}, generator),
                              make_affine({dim, 4 * dim}, generator),
                              at::full({dim}, kLayerScaleInit),
                              0,
                              {}});
    }
    const bool last = i + 1 == size.dims.size();
    if (last || (pyramid && i > 0)) stage.norm = make_layer_norm(dim);
    stages_.push_back(std::move(stage));
    in_channels = dim;
  }
  const int64_t blocks = std::accumulate(size.depths.begin(), size.depths.end(), int64_t{0});
  int64_t index = 0;
  for (Stage& stage : stages_) {
    for (Block& block : stage.blocks) {
      block.depth = static_cast<double>(index++) / static_cast<double>(std::max<int64_t>(blocks - 1, 1));
    }
  }
}

void ConvNext::set_drop_path(double rate, uint64_t seed) {
  drop_path_rate_ = rate;
  drop_path_generator_ = at::detail::createCPUGenerator(seed);
}

at::Tensor ConvNext::forward_block(Block& block, const at::Tensor& x) {
  const double rate = training_ ? drop_path_rate_ * block.depth : 0;
  if (rate == 0) return run_block(block, x, block.gamma, &block.packed);
  return drop_path(x, rate, drop_path_generator_, [&](const at::Tensor& kept, double factor) {
    return run_block(block, kept, block.gamma * factor, nullptr);
  });
}

at::Tensor ConvNext::run_block(const Block& block, const at::Tensor& x, const at::Tensor& gamma,
                               PackedMlpCache* packed) {
  // On a CPU the kernels take the float32 weights, and keep their own copies.
  const auto cast = [&](const at::Tensor& weight) {
    return x.is_cpu() ? weight : weights_.get(weight, x.scalar_type());
  };
  const at::Tensor y = depthwise_conv(x, cast(block.dwconv.weight), cast(block.dwconv.bias));
  return residual_mlp(x, y,
                      {block.norm.weight, block.norm.bias, cast(block.pwconv1.weight), cast(block.pwconv1.bias),
                       cast(block.pwconv2.weight), cast(block.pwconv2.bias), cast(gamma)},
                      kLayerNormEps, packed);
}

std::vector<at::Tensor> ConvNext::forward(const at::Tensor& images) {
  at::Tensor x = images.contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<at::Tensor> maps;
  for (size_t i = 0; i < stages_.size(); i++) {
    Stage& stage = stages_[i];
    x = i == 0 ? layer_norm_channels_first(strided_conv(weights_, x, stage.downsample_conv), stage.downsample_norm)
               : strided_conv(weights_, layer_norm_channels_first(x, stage.downsample_norm), stage.downsample_conv);
    for (Block& block : stage.blocks) x = forward_block(block, x);
    if (stage.norm) maps.push_back(layer_norm_channels_first(x, *stage.norm));
  }
  return maps;
}

std::vector<MapShape> ConvNext::map_shapes(int64_t height, int64_t width) {
  std::vector<MapShape> shapes;
  int64_t stride = 4;
  for (const Stage& stage : stages_) {
    if (stage.norm) shapes.push_back({stage.norm->weight.size(0), height / stride, width / stride});
    stride *= 2;
  }
  return shapes;
}

NamedTensors ConvNext::parameters() const {
  NamedTensors named;
  const auto add = [&](const std::string& name, const auto& layer) { append_layer(named, name, layer); };
  for (size_t i = 0; i < stages_.size(); i++) {
    const std::string name = "downsample_layers." + std::to_string(i);
    add(name + (i == 0 ? ".0" : ".1"), stages_[i].downsample_conv);
    add(name + (i == 0 ? ".1" : ".0"), stages_[i].downsample_norm);
  }
  for (size_t i = 0; i < stages_.size(); i++) {
    for (size_t j = 0; j < stages_[i].blocks.size(); j++) {
      const std::string name = "stages." + std::to_string(i) + "." + std::to_string(j);
      const Block& block = stages_[i].blocks[j];
      named.push_back({name + ".gamma", block.gamma});
      add(name + ".dwconv", block.dwconv);
      add(name + ".norm", block.norm);
      add(name + ".pwconv1", block.pwconv1);
      add(name + ".pwconv2", block.pwconv2);
    }
  }
  for (size_t i = 0; i < stages_.size(); i++) {
    const bool last = i + 1 == stages_.size();
    if (stages_[i].norm) add(last ? "norm" : "norms." + std::to_string(i), *stages_[i].norm);
  }
  return named;
}

}  // namespace dinov3_det
