#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <vector>

#include "models/named_tensor.h"
#include "models/ssd_head.h"

namespace dinov3_det {

// torchvision's RetinaNetHead (Lin et al. 2017, section 4): a tower of four 3x3 convolutions with ReLU for classes and
// one for boxes, each with a 3x3 convolution on top, the same for every feature map. Scores are sigmoids.
class RetinaNetHead {
 public:
  // Initialised as the reference: normal weights of deviation .01, zero biases, and for the classes those with which
  // every score is .01. num_classes includes the background, whose column is unused.
  RetinaNetHead(int64_t in_channels, int64_t anchors_per_location, int64_t num_classes, at::Generator& generator);

  // maps [N, C, h_k, w_k], of the one C -> cells row-major, anchors innermost: A = sum of h_k * w_k * anchors
  HeadOutput forward(const std::vector<at::Tensor>& maps) const;
  NamedTensors parameters() const;

 private:
  struct Conv {
    at::Tensor weight;
    at::Tensor bias;
  };
  struct Tower {
    std::vector<Conv> convs;
    Conv top;
  };
  static Conv make_conv(int64_t in_channels, int64_t out_channels, at::Generator& generator);
  static Tower make_tower(int64_t channels, int64_t out_channels, at::Generator& generator);
  static at::Tensor score(const Tower& tower, const std::vector<at::Tensor>& maps, int64_t columns);

  Tower classification_;
  Tower regression_;
  int64_t num_classes_;
};

}  // namespace dinov3_det
