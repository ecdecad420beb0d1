#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/layers.h"
#include "models/neck.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// Between backbone and head: makes of the backbone's maps one for every size of object. In this order
// - a single map gets finer ones before it, up to about stride 8, each twice as large by a deconvolution (after the
//   simple feature pyramid of ViTDet, Li et al. 2022, which does it for the one stride of a vision transformer);
// - if asked for, the maps are fused from the top down as in FPN (Lin et al. 2017, torchvision's
//   FeaturePyramidNetwork);
// - coarser maps follow, each half as large: until one is 3 cells wide and high or less, as in SSD (Liu et al. 2016),
//   or until there are five, as in RetinaNet (Lin et al. 2017), which calls them P3 to P7.
class FeaturePyramid : public Neck {
 public:
  // Which coarser maps there are, and how all weights begin: Xavier uniform, as torchvision's SSD initialises its extra
  // layers, or as its FeaturePyramidNetwork and LastLevelP6P7.
  enum class Coarser { kExtras, kP6P7 };

  // `maps`: those of the backbone, finest first, for images of this height. Biases are 0; without a generator the
  // weights are 0 too.
  FeaturePyramid(const std::vector<MapShape>& maps, int64_t image_height, bool fuse, at::Generator& generator,
                 Coarser coarser = Coarser::kExtras);

  std::vector<at::Tensor> forward(std::vector<at::Tensor> maps) override;
  const std::vector<MapShape>& map_shapes() const override { return shapes_; }
  NamedTensors parameters() const override;
  torch::jit::Module script(ScriptBuilder& builder) const override;

 private:
  // 2x2 deconvolution of stride 2, LayerNorm, GELU.
  struct Upsample {
    Affine deconv;  // weight [C_in, C_out, 2, 2]
    LayerNorm norm;
  };
  // 1x1 convolution and 3x3 convolution of stride 2, each with LayerNorm and GELU behind it: SSD's extra layers with
  // ConvNeXt's normalisation and activation. The norm brings every map that the head looks at to the scale of the
  // backbone's, so that one learning rate suits all; SSD itself had to rescale its one unlike map (its section 3.1).
  struct Extra {
    Affine reduce;
    LayerNorm reduce_norm;
    Affine conv;
    LayerNorm norm;
  };

  using MakeConv = Affine (*)(int64_t in_channels, int64_t out_channels, int64_t kernel, at::Generator& generator);

  void add_upsamples(int64_t image_height, at::Generator& generator);
  void add_fusion(MakeConv make_conv, at::Generator& generator);
  void add_extras(at::Generator& generator);
  void add_extra_blocks(at::Generator& generator);
  std::string extra_block_name(size_t index) const;  // torchvision's: p6, p7

  at::Tensor forward_upsample(const Upsample& layer, const at::Tensor& x);
  at::Tensor forward_extra(const Extra& layer, const at::Tensor& x);
  void fuse(std::vector<at::Tensor>& maps);

  std::vector<Upsample> upsamples_;   // each doubles the map that the one before it made
  std::vector<Affine> inner_blocks_;  // one per map: 1x1, to the common number of channels
  std::vector<Affine> layer_blocks_;  // one per map: 3x3, on the sum
  std::vector<Extra> extras_;
  std::vector<Affine> extra_blocks_;  // RetinaNet's: 3x3 of stride 2, with ReLU between them
  std::vector<MapShape> shapes_;
  WeightCache weights_;
};

}  // namespace dinov3_det
