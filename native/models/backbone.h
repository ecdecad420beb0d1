#pragma once

#include <c10/util/Exception.h>

#include <cstdint>
#include <vector>

#include "base/named_tensor.h"

namespace torch::jit {
struct Module;
}

namespace dinov3_det {

class ScriptBuilder;

struct MapShape {
  int64_t channels;
  int64_t height;
  int64_t width;
};

// What turns images into feature maps.
class Backbone {
 public:
  virtual ~Backbone() = default;

  // images [N, 3, H, W], normalised, in the type of computation -> feature maps [N, C_k, h_k, w_k], finest first, in
  // any floating point type.
  virtual std::vector<at::Tensor> forward(const at::Tensor& images) = 0;

  // The maps that forward gives for images of this size.
  virtual std::vector<MapShape> map_shapes(int64_t height, int64_t width) = 0;

  // Whether a forward pass in training tells the device the same whatever the images hold, so that it may be
  // recorded.
  virtual bool is_replayable() const { return true; }

  // What an optimizer may step, each tensor once, under its state_dict name.
  virtual NamedTensors parameters() const = 0;

  // What belongs to the state but is never stepped (running statistics).
  virtual NamedTensors buffers() const { return {}; }

  // Tells layers that behave otherwise in training (dropout, batch norm) how to behave.
  virtual void train(bool) {}

  // Stochastic depth in training from now on: the rate of the last residual block, 0 in the first and linear in
  // between; the seed says where its random numbers begin.
  virtual void set_drop_path(double rate, uint64_t) {
    TORCH_CHECK(rate == 0, "this backbone has no residual blocks that can be dropped");
  }

  // The same forward as a TorchScript module, on the CPU.
  virtual torch::jit::Module script(ScriptBuilder& builder) const = 0;
};

}  // namespace dinov3_det
