#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"
#include "models/backbone.h"

namespace dinov3_det {

// What makes other feature maps, for the head, of the backbone's.
class Neck {
 public:
  virtual ~Neck() = default;

  // The backbone's maps, all of one type, in which this computes -> maps [N, C_k, h_k, w_k] of that type, finest first.
  virtual std::vector<at::Tensor> forward(std::vector<at::Tensor> maps) = 0;

  // The maps that forward gives.
  virtual const std::vector<MapShape>& map_shapes() const = 0;

  virtual NamedTensors parameters() const = 0;

  // The same forward as a TorchScript module on the CPU.
  virtual torch::jit::Module script(ScriptBuilder& builder) const = 0;
};

}  // namespace dinov3_det
