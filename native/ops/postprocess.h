#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/image_size.h"
#include "base/names.h"
#include "ops/class_scores.h"
#include "ops/default_boxes.h"
#include "ops/head_output.h"

namespace dinov3_det {

// kDiou: suppress_by_diou; kWeighted: weight_boxes; kNone: the best candidates as they are, for a head that gives each
// object one box.
enum class Nms { kPlain, kDiou, kWeighted, kNone };
constexpr Names<Nms, 4> kNmsKinds{
    {{"plain", Nms::kPlain}, {"diou", Nms::kDiou}, {"weighted", Nms::kWeighted}, {"none", Nms::kNone}}};

// Of what the best candidates go to NMS: of each class (torchvision's SSD), or of each map, all classes together (its
// RetinaNet).
enum class TopkPer { kClass, kMap };
constexpr Names<TopkPer, 2> kTopkPerKinds{{{"class", TopkPer::kClass}, {"map", TopkPer::kMap}}};

struct PostprocessOptions {
  double score_threshold = 0.01;  // strict
  double nms_threshold = 0.45;
  int64_t topk_candidates = 400;
  int64_t max_detections = 200;  // per image
  Nms nms = Nms::kPlain;
  TopkPer topk_per = TopkPer::kClass;
};

// Detections of a batch, image after image: counts[i] rows belong to image i.
struct Detections {
  std::vector<int32_t> counts;
  std::vector<float> boxes;  // xyxy in pixels of the original image, 4 each
  std::vector<float> scores;
  std::vector<int32_t> labels;  // 1..K-1
};

// torchvision's postprocess_detections of SSD or RetinaNet, followed by its resize_boxes: scores, decode, clip to the
// input, the best candidates above the threshold, NMS by class, best of the image, boxes scaled from what the image
// fills of the input to its own size. Where that is not all of the input, boxes are clipped to the image at the end,
// and those beside it are left out. `compact`: whether the candidates are chosen on the device (compact_candidates),
// with the same result; by default on any but the CPU.
Detections postprocess(const HeadOutput& output, const DefaultBoxes& default_boxes, const ImageSize& input,
                       const std::vector<ImageFrame>& frames, const PostprocessOptions& options,
                       Scoring scoring = Scoring::kSoftmax, std::optional<bool> compact = {});

}  // namespace dinov3_det
