#pragma once

#include <ATen/Generator.h>

#include <string>
#include <vector>

#include "models/conv_norm.h"
#include "models/neck.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// RTMDet's neck (Lyu et al. 2022; mmdet's CSPNeXtPAFPN with GroupNorm): maps of strides 8, 16 and 32 are fused from the
// top down, then from the bottom up, by CSP blocks whose convolutions are 3x3 and depthwise 5x5; at the end all have
// one number of channels.
class DenseNeck : public Neck {
 public:
  // maps: three, finest first, each half as large as the one before. width: channels of the maps that come out; 0:
  // those of the finest map, as RTMDet has it. A narrower neck begins with 1x1 convolutions to width, 2 width and 4
  // width.
  DenseNeck(const std::vector<MapShape>& maps, int64_t width, at::Generator& generator);

  std::vector<at::Tensor> forward(std::vector<at::Tensor> maps) override;
  const std::vector<MapShape>& map_shapes() const override { return shapes_; }
  NamedTensors parameters() const override;
  torch::jit::Module script(ScriptBuilder& builder) const override;

 private:
  // 3x3 convolution, then a depthwise one of 5x5 with a 1x1 after it; no residual.
  struct Block {
    ConvNorm conv1;
    ConvNorm depthwise;
    ConvNorm pointwise;
  };
  // Cross stage partial: one half of the channels through the blocks, the other past them.
  struct Csp {
    ConvNorm main;
    ConvNorm shortcut;
    ConvNorm final;
    std::vector<Block> blocks;
  };

  static Csp make_csp(int64_t in_channels, int64_t out_channels, int64_t blocks, at::Generator& generator);
  at::Tensor apply(const ConvNorm& layer, const at::Tensor& x) { return conv_norm(weights_, x, layer); }
  at::Tensor apply(const Csp& csp, const at::Tensor& x);
  static torch::jit::Module script_csp(ScriptBuilder& builder, const Csp& csp);

  std::vector<ConvNorm> projections_;  // one for each map, or none
  std::vector<ConvNorm> reduce_;       // of stride 32, then of 16
  std::vector<Csp> top_down_;          // to stride 16, then to 8
  std::vector<ConvNorm> downsamples_;  // from stride 8, then from 16
  std::vector<Csp> bottom_up_;         // to stride 16, then to 32
  std::vector<ConvNorm> out_;
  std::vector<MapShape> shapes_;
  WeightCache weights_;
};

}  // namespace dinov3_det
