#pragma once

#include <ATen/Generator.h>

#include <memory>
#include <optional>
#include <vector>

#include "models/detection_head.h"
#include "models/layers.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// torchvision's SSDHead: per feature map one 3x3 convolution for classes and one for boxes. It may have more entries
// than the backbone has maps (the article's has six for one); the first maps.size() are used and the rest never get a
// gradient.
class SsdHead : public DetectionHead {
 public:
  // Initialised as the reference: Xavier uniform weights, zero biases; or, for a head whose scores are sigmoids, biases
  // of the classes with which these are `prior`.
  SsdHead(const std::vector<int64_t>& in_channels, const std::vector<int64_t>& anchors_per_location,
          int64_t num_classes, at::Generator& generator, std::optional<double> prior = std::nullopt);

  HeadOutput forward(const std::vector<at::Tensor>& maps) override;
  NamedTensors parameters() const override;
  BoxCoding box_coding() const override { return BoxCoding::offsets(10, 5); }
  torch::jit::Module script(ScriptBuilder& builder, size_t maps) const override;

 private:
  std::vector<Affine> classification_;
  std::vector<Affine> regression_;
  int64_t num_classes_;
  WeightCache weights_;
};

// Throws WEIGHTS_MISMATCH for more maps than entries.
std::unique_ptr<DetectionHead> make_ssd_head(const HeadInput& input, at::Generator& generator);

}  // namespace dinov3_det
