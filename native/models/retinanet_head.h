#pragma once

#include <ATen/Generator.h>

#include <memory>
#include <vector>

#include "models/detection_head.h"
#include "models/layers.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// torchvision's RetinaNetHead (Lin et al. 2017, section 4): a tower of four 3x3 convolutions with ReLU for classes and
// one for boxes, each with a 3x3 convolution on top, the same for every feature map. Scores are sigmoids. The towers
// compute in the type of the maps, what is on top of them in float32.
class RetinaNetHead : public DetectionHead {
 public:
  // Initialised as the reference: normal weights of deviation 0.01, zero biases, and for the classes those with which
  // every score is 0.01. num_classes includes the background, whose column is unused.
  RetinaNetHead(int64_t in_channels, int64_t anchors_per_location, int64_t num_classes, at::Generator& generator);

  // The maps are of the one number of channels.
  HeadOutput forward(const std::vector<at::Tensor>& maps) override;
  NamedTensors parameters() const override;
  BoxCoding box_coding() const override { return BoxCoding::offsets(1, 1); }
  torch::jit::Module script(ScriptBuilder& builder, size_t maps) const override;

 private:
  struct Tower {
    std::vector<Affine> convs;
    Affine top;
  };
  static Tower make_tower(int64_t channels, int64_t out_channels, at::Generator& generator);
  at::Tensor score(const Tower& tower, const std::vector<at::Tensor>& maps, int64_t columns);

  Tower classification_;
  Tower regression_;
  int64_t num_classes_;
  WeightCache weights_;
};

// Throws for scores that are not sigmoids, and for maps that are not fused.
std::unique_ptr<DetectionHead> make_retinanet_head(const HeadInput& input, at::Generator& generator);

}  // namespace dinov3_det
