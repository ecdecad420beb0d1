#include "models/dense_neck.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"

namespace dinov3_det {

namespace {

constexpr size_t kMaps = 3;

// Blocks of a CSP for so many channels of the finest map: RTMDet-s to -l have 1 to 3.
int64_t blocks_for(int64_t channels) { return channels < 128 ? 1 : channels < 256 ? 2 : 3; }

// Only a program can have others.
void check_maps(const std::vector<MapShape>& maps) {
  bool halve = maps.size() == kMaps;
  std::string sizes;
  for (size_t k = 0; k < maps.size(); k++) {
    sizes += (k == 0 ? "" : ", ") + std::to_string(maps[k].width) + "x" + std::to_string(maps[k].height);
    if (k == 0) continue;
    halve = halve && maps[k - 1].height == 2 * maps[k].height && maps[k - 1].width == 2 * maps[k].width;
  }
  if (halve) return;
  throw Error(
      "WEIGHTS_MISMATCH",
      "The head dense expects three feature maps of the backbone, each half as large as the one before, but found " +
          std::to_string(maps.size()) + " (" + sizes + "). Choose the head ssd for such a backbone");
}

std::string numbered(const std::string& list, size_t index) { return list + "." + std::to_string(index); }

}  // namespace

DenseNeck::Csp DenseNeck::make_csp(int64_t in_channels, int64_t out_channels, int64_t blocks,
                                   at::Generator& generator) {
  const int64_t middle = out_channels / 2;
  Csp csp{make_conv_norm(in_channels, middle, 1, generator),
          make_conv_norm(in_channels, middle, 1, generator),
          make_conv_norm(2 * middle, out_channels, 1, generator),
          {}};
  for (int64_t i = 0; i < blocks; i++) {
    csp.blocks.push_back({make_conv_norm(middle, middle, 3, generator),
                          make_conv_norm(middle, middle, 5, generator, 1, middle),
                          make_conv_norm(middle, middle, 1, generator)});
  }
  return csp;
}

DenseNeck::DenseNeck(const std::vector<MapShape>& maps, int64_t width, at::Generator& generator) : shapes_(maps) {
  check_maps(maps);
  int64_t channels[kMaps];
  for (size_t k = 0; k < kMaps; k++) channels[k] = width > 0 ? width << k : maps[k].channels;
  const auto [c0, c1, c2] = channels;
  const int64_t blocks = width > 0 ? 1 : blocks_for(c0);
  if (width > 0) {
    for (size_t k = 0; k < kMaps; k++) {
      projections_.push_back(make_conv_norm(maps[k].channels, channels[k], 1, generator));
    }
  }
  reduce_ = {make_conv_norm(c2, c1, 1, generator), make_conv_norm(c1, c0, 1, generator)};
  top_down_ = {make_csp(2 * c1, c1, blocks, generator), make_csp(2 * c0, c0, blocks, generator)};
  downsamples_ = {make_conv_norm(c0, c0, 3, generator, 2), make_conv_norm(c1, c1, 3, generator, 2)};
  bottom_up_ = {make_csp(2 * c0, c1, blocks, generator), make_csp(2 * c1, c2, blocks, generator)};
  for (size_t k = 0; k < kMaps; k++) {
    out_.push_back(make_conv_norm(channels[k], c0, 3, generator));
    shapes_[k].channels = c0;
  }
}

at::Tensor DenseNeck::apply(const Csp& csp, const at::Tensor& x) {
  at::Tensor main = apply(csp.main, x);
  for (const Block& block : csp.blocks) {
    main = apply(block.pointwise, apply(block.depthwise, apply(block.conv1, main)));
  }
  return apply(csp.final, at::cat({main, apply(csp.shortcut, x)}, 1));
}

std::vector<at::Tensor> DenseNeck::forward(std::vector<at::Tensor> maps) {
  for (size_t k = 0; k < projections_.size(); k++) maps[k] = apply(projections_[k], maps[k]);
  const auto fuse = [&](const Csp& csp, const at::Tensor& first, const at::Tensor& second) {
    return apply(csp, at::cat({first, second}, 1));
  };
  const auto up = [](const at::Tensor& x, const at::Tensor& like) {
    return at::upsample_nearest2d(x, like.sizes().slice(2));
  };
  // mmdet's way down starts from the reduced maps, not from those before them.
  const at::Tensor top = apply(reduce_[0], maps[2]);
  const at::Tensor middle = apply(reduce_[1], fuse(top_down_[0], up(top, maps[1]), maps[1]));
  const at::Tensor fine = fuse(top_down_[1], up(middle, maps[0]), maps[0]);
  const at::Tensor coarser = fuse(bottom_up_[0], apply(downsamples_[0], fine), middle);
  const at::Tensor coarsest = fuse(bottom_up_[1], apply(downsamples_[1], coarser), top);
  return {apply(out_[0], fine), apply(out_[1], coarser), apply(out_[2], coarsest)};
}

NamedTensors DenseNeck::parameters() const {
  NamedTensors named;
  const auto add = [&](const std::string& list, const std::vector<ConvNorm>& layers) {
    for (size_t i = 0; i < layers.size(); i++) append_layer(named, numbered(list, i), layers[i]);
  };
  const auto add_csps = [&](const std::string& list, const std::vector<Csp>& csps) {
    for (size_t i = 0; i < csps.size(); i++) {
      const std::string name = numbered(list, i);
      append_layer(named, name + ".main_conv", csps[i].main);
      append_layer(named, name + ".short_conv", csps[i].shortcut);
      append_layer(named, name + ".final_conv", csps[i].final);
      for (size_t b = 0; b < csps[i].blocks.size(); b++) {
        const Block& block = csps[i].blocks[b];
        const std::string place = numbered(name + ".blocks", b);
        append_layer(named, place + ".conv1", block.conv1);
        append_layer(named, place + ".conv2.depthwise_conv", block.depthwise);
        append_layer(named, place + ".conv2.pointwise_conv", block.pointwise);
      }
    }
  };
  add("projections", projections_);
  add("reduce_layers", reduce_);
  add_csps("top_down_blocks", top_down_);
  add("downsamples", downsamples_);
  add_csps("bottom_up_blocks", bottom_up_);
  add("out_convs", out_);
  return named;
}

}  // namespace dinov3_det
