#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/named_tensor.h"
#include "models/backbone.h"
#include "ops/box_coder.h"
#include "ops/class_scores.h"
#include "ops/head_output.h"

namespace dinov3_det {

// What the names of the tensors of a second branch begin with.
constexpr const char* kOneToOnePrefix = "one_to_one.";

// What a head is made for.
struct HeadInput {
  std::vector<MapShape> maps;
  std::vector<int64_t> boxes_per_location;  // one for each map, and perhaps more
  int64_t num_classes;                      // background included
  Scoring scores;
  bool end_to_end = false;  // with a second branch that gives each object one box
};

// What turns feature maps into a score for each class, the background included, and a box code for each default box.
class DetectionHead {
 public:
  virtual ~DetectionHead() = default;

  // maps [N, C_k, h_k, w_k], all in the type of computation -> float32; cells row-major, default boxes of a cell
  // innermost: A = sum of h_k * w_k * boxes_k
  virtual HeadOutput forward(const std::vector<at::Tensor>& maps) = 0;

  // The same of the second branch of a head that was made end to end. Its gradient does not go into the maps.
  virtual HeadOutput forward_one_to_one(const std::vector<at::Tensor>& maps);
  virtual bool has_one_to_one() const { return false; }

  // Under torchvision's names.
  virtual NamedTensors parameters() const = 0;

  // Of its box codes.
  virtual BoxCoding box_coding() const = 0;

  // The same forward, for this many maps, as a TorchScript module on the CPU.
  virtual torch::jit::Module script(ScriptBuilder& builder, size_t maps) const = 0;
  virtual torch::jit::Module script_one_to_one(ScriptBuilder& builder, size_t maps) const;
};

}  // namespace dinov3_det
