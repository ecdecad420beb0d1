#include "models/feature_pyramid.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace dinov3_det {

namespace {

constexpr double kFinestStride = 8;
constexpr int64_t kMaxUpsamples = 2;
constexpr int64_t kFusedChannels = 256;  // FPN's
constexpr int64_t kCoarsestCells = 3;    // where default boxes of 0.9 of the image still reach all that is so large
constexpr int64_t kFirstExtra = 512;     // channels of SSD's extra layers: 512 in the first, then 256,
constexpr int64_t kLaterExtras = 256;    // the 1x1 before it half as many
constexpr size_t kRetinaNetMaps = 5;     // P3 to P7
constexpr size_t kFirstLevel = 3;

}  // namespace

FeaturePyramid::FeaturePyramid(const std::vector<MapShape>& maps, int64_t image_height, bool fuse,
                               at::Generator& generator, Coarser coarser)
    : shapes_(maps) {
  if (maps.size() == 1) add_upsamples(image_height, generator);
  if (fuse) add_fusion(coarser == Coarser::kP6P7 ? make_kaiming_conv : make_xavier_conv, generator);
  coarser == Coarser::kP6P7 ? add_extra_blocks(generator) : add_extras(generator);
}

void FeaturePyramid::add_upsamples(int64_t image_height, at::Generator& generator) {
  const double stride = static_cast<double>(image_height) / static_cast<double>(shapes_[0].height);
  const int64_t count = std::clamp<int64_t>(std::lround(std::log2(stride / kFinestStride)), 0, kMaxUpsamples);
  for (int64_t i = 0; i < count; i++) {
    const MapShape map = shapes_.front();
    const int64_t channels = std::max<int64_t>(1, map.channels / 2);
    // The weight of a deconvolution has its input's channels first.
    const at::Tensor weight = make_xavier_conv(channels, map.channels, 2, generator).weight;
    upsamples_.push_back({{weight, at::zeros({channels})}, make_layer_norm(channels)});
    shapes_.insert(shapes_.begin(), {channels, 2 * map.height, 2 * map.width});
  }
}

// Never wider than the backbone's last map: more channels would add cost and nothing else.
void FeaturePyramid::add_fusion(MakeConv make_conv, at::Generator& generator) {
  const int64_t channels = std::min(kFusedChannels, shapes_.back().channels);
  for (MapShape& shape : shapes_) {
    inner_blocks_.push_back(make_conv(shape.channels, channels, 1, generator));
    layer_blocks_.push_back(make_conv(channels, channels, 3, generator));
    shape.channels = channels;
  }
}

void FeaturePyramid::add_extras(at::Generator& generator) {
  while (std::max(shapes_.back().height, shapes_.back().width) > kCoarsestCells) {
    const MapShape map = shapes_.back();
    const int64_t out = std::min(map.channels, extras_.empty() ? kFirstExtra : kLaterExtras);
    const int64_t middle = std::max<int64_t>(1, out / 2);
    extras_.push_back({make_xavier_conv(map.channels, middle, 1, generator), make_layer_norm(middle),
                       make_xavier_conv(middle, out, 3, generator), make_layer_norm(out)});
    shapes_.push_back({out, (map.height + 1) / 2, (map.width + 1) / 2});
  }
}

void FeaturePyramid::add_extra_blocks(at::Generator& generator) {
  while (shapes_.size() < kRetinaNetMaps) {
    const MapShape map = shapes_.back();
    extra_blocks_.push_back(make_kaiming_conv(map.channels, map.channels, 3, generator));
    shapes_.push_back({map.channels, (map.height + 1) / 2, (map.width + 1) / 2});
  }
}

std::string FeaturePyramid::extra_block_name(size_t index) const {
  return "p" + std::to_string(kFirstLevel + shapes_.size() - extra_blocks_.size() + index);
}

at::Tensor FeaturePyramid::forward_upsample(const Upsample& layer, const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  const at::Tensor y =
      at::conv_transpose2d(x, weights_.get(layer.deconv.weight, type).to(type), layer.deconv.bias.to(type), 2);
  return at::gelu(layer_norm_channels_first(y, layer.norm));
}

at::Tensor FeaturePyramid::forward_extra(const Extra& layer, const at::Tensor& x) {
  const at::Tensor reduced = at::gelu(layer_norm_channels_first(conv2d(weights_, x, layer.reduce), layer.reduce_norm));
  return at::gelu(layer_norm_channels_first(conv2d(weights_, reduced, layer.conv, 2, 1), layer.norm));
}

void FeaturePyramid::fuse(std::vector<at::Tensor>& maps) {
  at::Tensor coarser;
  for (size_t k = maps.size(); k-- > 0;) {
    at::Tensor inner = conv2d(weights_, maps[k], inner_blocks_[k]);
    if (coarser.defined()) inner = inner + at::upsample_nearest2d(coarser, inner.sizes().slice(2));
    maps[k] = conv2d(weights_, inner, layer_blocks_[k], 1, 1);
    coarser = inner;
  }
}

std::vector<at::Tensor> FeaturePyramid::forward(std::vector<at::Tensor> maps) {
  for (const Upsample& layer : upsamples_) maps.insert(maps.begin(), forward_upsample(layer, maps.front()));
  if (!inner_blocks_.empty()) fuse(maps);
  for (const Extra& layer : extras_) maps.push_back(forward_extra(layer, maps.back()));
  for (size_t i = 0; i < extra_blocks_.size(); i++) {
    const at::Tensor x = i == 0 ? maps.back() : at::relu(maps.back());
    maps.push_back(conv2d(weights_, x, extra_blocks_[i], 2, 1));
  }
  return maps;
}

NamedTensors FeaturePyramid::parameters() const {
  NamedTensors named;
  for (size_t i = 0; i < upsamples_.size(); i++) {
    const std::string name = "upsamples." + std::to_string(i);
    append_layer(named, name + ".deconv", upsamples_[i].deconv);
    append_layer(named, name + ".norm", upsamples_[i].norm);
  }
  for (size_t k = 0; k < inner_blocks_.size(); k++) {
    append_layer(named, "inner_blocks." + std::to_string(k), inner_blocks_[k]);
    append_layer(named, "layer_blocks." + std::to_string(k), layer_blocks_[k]);
  }
  for (size_t i = 0; i < extras_.size(); i++) {
    const std::string name = "extras." + std::to_string(i);
    append_layer(named, name + ".reduce", extras_[i].reduce);
    append_layer(named, name + ".reduce_norm", extras_[i].reduce_norm);
    append_layer(named, name + ".conv", extras_[i].conv);
    append_layer(named, name + ".norm", extras_[i].norm);
  }
  for (size_t i = 0; i < extra_blocks_.size(); i++) {
    append_layer(named, "extra_blocks." + extra_block_name(i), extra_blocks_[i]);
  }
  return named;
}

}  // namespace dinov3_det
