#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/image_size.h"
#include "data/pixel_values.h"
#include "models/backbone.h"
#include "models/box_layout.h"
#include "models/detection_head.h"
#include "models/heads.h"
#include "models/held_weights.h"
#include "models/neck.h"
#include "models/precision.h"
#include "models/torchscript_gate.h"
#include "ops/class_scores.h"
#include "ops/default_boxes.h"
#include "ops/postprocess.h"

namespace dinov3_det {

struct DetectorConfig {
  std::string backbone;                    // a name that convnext_size knows, or "torchscript"
  std::string torchscript;                 // the archive's bytes when backbone is "torchscript"
  std::optional<NodeKinds> allowed_nodes;  // of the archive's graphs; absent when the user trusts it
  int64_t num_classes;                     // background included
  const HeadType* head = &kSsdHead;
  bool pyramid = false;     // the head looks at a feature pyramid, not at the backbone's own maps
  bool fusion = false;      // of the pyramid's maps, from the top down
  int64_t head_width = 0;   // of a dense head, as NeckOptions has it
  bool end_to_end = false;  // a dense head with a second branch, as HeadInput has it
  std::string resize;       // how images are brought to the size, which exported programs tell
  ImageSize image_size;     // every image is brought to this size
  std::array<float, 3> mean;
  std::array<float, 3> std;
  BoxConfig default_boxes;
  Scoring scores = Scoring::kSoftmax;
  std::optional<uint64_t> seed;  // of the random initial weights; none: weights that are read afterwards
  std::string device;
  std::string precision;  // as compute_type takes it
};

// Backbone, neck (if any), head and default boxes: pixels in, logits and box codes out.
class DetectorModel {
 public:
  explicit DetectorModel(const DetectorConfig& config);

  // pixels [N, H, W, 3] uint8 RGB. Of another size than the model's too: a head's weights do not depend on it, and
  // boxes_for has its default boxes.
  HeadOutput forward(const at::Tensor& pixels) { return head_->forward(maps_of(pixels)); }
  HeadOutput forward_one_to_one(const at::Tensor& pixels) { return head_->forward_one_to_one(maps_of(pixels)); }
  // Both branches of a head that was made end to end, the second one last, or the only one.
  std::vector<HeadOutput> forward_branches(const at::Tensor& pixels);

  // Of images of a size that a forward pass has seen.
  const DefaultBoxes& boxes_for(const at::Tensor& pixels) const;
  void check_image_size(const at::Tensor& pixels) const;

  // Trains the backbone too, or neck and head alone. Until this is called nothing asks for a gradient.
  void set_trainable(bool fine_tune_backbone);
  void set_training(bool on);
  // Of the backbone, as Backbone::set_drop_path.
  void set_drop_path(double rate, uint64_t seed) { backbone_->set_drop_path(rate, seed); }

  bool is_replayable() const { return backbone_->is_replayable(); }

  NamedTensors parameters() const;  // what an optimizer may step
  NamedTensors buffers() const;     // what a forward pass in training may change
  NamedTensors state() const;       // both

  // The whole detector as a TorchScript module on the CPU: images [N, 3, height, width], float RGB 0..1 -> for each one
  // a dictionary of boxes [D, 4] (xyxy in pixels of the input), scores [D] and labels [D]. Throws WEIGHTS_MISMATCH for
  // a TorchScript backbone whose forward is not annotated.
  torch::jit::Module script(const std::vector<std::string>& classes, const PostprocessOptions& options) const;
  torch::jit::Module script_backbone() const;

  HeldWeights& held_weights() { return held_weights_; }

  const DefaultBoxes& default_boxes() const { return default_boxes_; }
  int64_t num_classes() const { return num_classes_; }  // background included
  Scoring scoring() const { return scoring_; }
  bool is_end_to_end() const { return head_->has_one_to_one(); }
  const ImageSize& image_size() const { return image_size_; }
  const at::Device& device() const { return device_; }
  at::ScalarType compute_type() const { return compute_type_; }
  Float32Products float32_products() const { return {precision_, device_}; }  // of forward and backward passes
  const std::vector<MapShape>& maps() const { return maps_; }                 // that the head looks at

 private:
  std::vector<at::Tensor> maps_of(const at::Tensor& pixels);
  void lay_out_for(const ImageSize& size, const std::vector<at::Tensor>& maps);

  std::unique_ptr<Backbone> backbone_;
  std::unique_ptr<Neck> neck_;  // null: the head looks at the backbone's maps
  std::vector<MapShape> maps_;
  std::unique_ptr<DetectionHead> head_;
  DefaultBoxes default_boxes_;
  BoxConfig box_config_;
  std::map<ImageSize, DefaultBoxes> other_boxes_;  // of other sizes than the model's
  std::string resize_;
  Scoring scoring_;
  int64_t num_classes_;
  at::Tensor mean_;  // [1, 3, 1, 1]
  at::Tensor std_;   // [1, 3, 1, 1]
  PixelValues pixel_values_;
  ImageSize image_size_;
  at::Device device_;
  std::string precision_;
  at::ScalarType compute_type_;
  bool fine_tune_backbone_ = false;
  HeldWeights held_weights_;
};

}  // namespace dinov3_det
