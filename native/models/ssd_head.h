#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "models/layers.h"
#include "models/named_tensor.h"

namespace torch::jit {
struct Module;
}

namespace dinov3_det {

class ScriptBuilder;

struct HeadOutput {
  at::Tensor cls_logits;       // [N, A, K]
  at::Tensor bbox_regression;  // [N, A, 4]
};

// torchvision's SSDHead: per feature map one 3x3 convolution for classes and one for boxes. It may have more entries
// than the backbone has maps (the article's has six for one); the first maps.size() are used and the rest never get a
// gradient.
class SsdHead {
 public:
  // Initialised as the reference: Xavier uniform weights, zero biases; or, for a head whose scores are sigmoids, biases
  // of the classes with which these are `prior`.
  SsdHead(const std::vector<int64_t>& in_channels, const std::vector<int64_t>& anchors_per_location,
          int64_t num_classes, at::Generator& generator, std::optional<double> prior = std::nullopt);

  // maps [N, C_k, h_k, w_k] -> cells row-major, anchors innermost: A = sum of h_k * w_k * anchors_k
  HeadOutput forward(const std::vector<at::Tensor>& maps) const;
  NamedTensors parameters() const;

  // The same forward, for this many maps, as a TorchScript module on the CPU.
  torch::jit::Module script(ScriptBuilder& builder, size_t maps) const;

 private:
  std::vector<Affine> classification_;
  std::vector<Affine> regression_;
  int64_t num_classes_;
};

}  // namespace dinov3_det
