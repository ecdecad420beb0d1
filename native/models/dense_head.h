#pragma once

#include <ATen/Generator.h>

#include <optional>
#include <string>
#include <vector>

#include "models/conv_norm.h"
#include "models/detection_head.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// RTMDet's head (Lyu et al. 2022; mmdet's RTMDetSepBNHead with GroupNorm): for each cell of a map the score of every
// class and the distances of a box's sides from the cell's corner, from two towers of two 3x3 convolutions. All maps
// share the convolutions; the norms in the towers, and the 1x1 convolutions on top, are each map's own. The towers
// compute in the type of the maps, what is on top of them in float32.
//
// Made end to end, it has a second pair of towers on the same maps, which learns one box for each object, so that no
// NMS is needed (YOLOv10, Wang et al. 2024, section 3.1). It begins as a copy of the first.
class DenseHead : public DetectionHead {
 public:
  // Initialised as the reference: normal weights of deviation 0.01, zero biases, and for the classes those with which
  // every score is 0.01. num_classes includes the background, which no score is made for.
  DenseHead(const std::vector<MapShape>& maps, int64_t num_classes, bool end_to_end, at::Generator& generator);

  // Logits of the background are -infinity.
  HeadOutput forward(const std::vector<at::Tensor>& maps) override;
  HeadOutput forward_one_to_one(const std::vector<at::Tensor>& maps) override;
  bool has_one_to_one() const override { return one_to_one_.has_value(); }
  NamedTensors parameters() const override;
  BoxCoding box_coding() const override { return BoxCoding::distances(); }
  torch::jit::Module script(ScriptBuilder& builder, size_t maps) const override;
  torch::jit::Module script_one_to_one(ScriptBuilder& builder, size_t maps) const override;

 private:
  struct Tower {
    std::vector<at::Tensor> convs;              // shared: [C, C, 3, 3]
    std::vector<std::vector<LayerNorm>> norms;  // [map][convolution]
    std::vector<Affine> tops;                   // [map]: 1x1
  };
  struct Towers {
    Tower classification;
    Tower regression;
  };
  static Tower make_tower(size_t maps, int64_t channels, int64_t columns, double bias, at::Generator& generator);
  static Tower copy_of(const Tower& tower);
  static void append_towers(NamedTensors& named, const std::string& prefix, const Towers& towers);
  static torch::jit::Module script_towers(ScriptBuilder& builder, size_t maps, const Towers& towers);
  HeadOutput predict(const Towers& towers, const std::vector<at::Tensor>& maps);
  at::Tensor predict(const Tower& tower, const std::vector<at::Tensor>& maps);

  Towers towers_;
  std::optional<Towers> one_to_one_;
  WeightCache weights_;
};

std::unique_ptr<DetectionHead> make_dense_head(const HeadInput& input, at::Generator& generator);

}  // namespace dinov3_det
