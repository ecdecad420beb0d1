#include "train/multibox_loss.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/boxes.h"
#include "train/atss.h"
#include "train/box_iou_loss.h"
#include "train/class_weights.h"
#include "train/focal_loss.h"
#include "train/hard_negatives.h"
#include "train/matcher.h"

namespace dinov3_det {

namespace {

// Indices of ground truth, or what else is in their place: [N, A].
at::Tensor match(const Targets& targets, const DefaultBoxes& default_boxes, Assigner assigner) {
  const auto& [boxes, labels, counts] = targets;
  switch (assigner) {
    case Assigner::kAtss:
      return atss_match(boxes, counts, default_boxes.boxes, default_boxes.grids);
    case Assigner::kRetinaNet:
      return retinanet_match(box_iou(boxes, default_boxes.boxes), counts);
    case Assigner::kSsd:
    case Assigner::kSoft:  // dense_loss has it
      break;
  }
  return ssd_match(box_iou(boxes, default_boxes.boxes), counts);
}

// codes [N, A, 4], default_boxes [A, 4], boxes [N, A, 4] -> [N, A, 1] or, coordinate by coordinate, [N, A, 4]
at::Tensor box_loss(BoxLoss kind, const at::Tensor& codes, const at::Tensor& default_boxes, const at::Tensor& boxes,
                    const BoxCoding& coding) {
  const auto encoded = [&] { return encode_boxes(boxes, default_boxes, coding); };
  switch (kind) {
    case BoxLoss::kSmoothL1:
      return at::smooth_l1_loss(codes, encoded(), at::Reduction::None);
    case BoxLoss::kL1:
      return at::l1_loss(codes, encoded(), at::Reduction::None);
    default:
      return box_iou_loss(kind, decode_boxes(codes, default_boxes, coding), boxes).unsqueeze(-1);
  }
}

// logits [N, A, K], labels [N, A] with 0 for the background, what is ignored [N, A] -> scalar
at::Tensor hard_negative_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& ignored,
                              const LossOptions& options) {
  const bool of_background = options.background_negatives;
  const at::Tensor foreground = labels > 0;
  const at::Tensor loss = at::cross_entropy_loss(logits.flatten(0, 1), labels.flatten(), {}, at::Reduction::None)
                              .reshape(labels.sizes())
                              .masked_fill(ignored, 0);
  const at::Tensor negatives = hard_negatives(loss, foreground, of_background);
  const at::Tensor weight = foreground.to(loss.dtype()) + negatives.to(loss.dtype());
  return (weigh_classes(loss, labels, options.class_weights) * weight).sum() /
         foreground.sum().clamp_min(of_background ? labels.size(0) : 1);
}

// The same, and what each image's loss is multiplied by [N]. Of K columns the background's is left out.
at::Tensor focal_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& ignored,
                      const at::Tensor& share, const at::Tensor& class_weights) {
  const at::Tensor classes = at::arange(1, logits.size(-1), labels.options());            // [K - 1]
  const at::Tensor targets = (labels.unsqueeze(-1) == classes).to(logits.scalar_type());  // [N, A, K - 1]
  const at::Tensor loss = sigmoid_focal_loss(logits.slice(-1, 1), targets).sum(-1).masked_fill(ignored, 0);  // [N, A]
  return (weigh_classes(loss, labels, class_weights).sum(1) * share).sum();
}

}  // namespace

// Nothing here has a shape that depends on values: on a GPU that would make the host wait for it, and no graph could be
// replayed. So every default box takes part. Those without an object have themselves as target and a code of 0, which
// keeps all that is computed of them finite, and no loss.
MultiboxLoss multibox_loss(const HeadOutput& output, const Targets& given, const DefaultBoxes& default_boxes,
                           const LossOptions& options) {
  const Targets targets = pad_targets(given, std::max<int64_t>(given.labels.size(1), 1));
  const at::Tensor matches = match(targets, default_boxes, options.assigner);  // [N, A]
  const at::Tensor foreground = matches >= 0, ignored = matches == kIgnored;
  const at::Tensor in_box = foreground.unsqueeze(-1);  // [N, A, 1]
  const at::Tensor positives = foreground.sum();
  const int64_t images = matches.size(0);

  const at::Tensor object = matches.clamp_min(0);
  const at::Tensor labels = targets.labels.gather(1, object).masked_fill(foreground.logical_not(), 0);
  const at::Tensor matched = targets.boxes.gather(1, object.unsqueeze(-1).expand({-1, -1, 4}));  // [N, A, 4]
  const at::Tensor boxes = at::where(in_box, matched, default_boxes.boxes);
  const at::Tensor codes = output.bbox_regression.masked_fill(in_box.logical_not(), 0);
  const at::Tensor bbox_loss = box_loss(options.box, codes, default_boxes.boxes, boxes, default_boxes.coding)
                                   .masked_fill(in_box.logical_not(), 0)
                                   .sum({1, 2});  // [N]
  if (options.classification == ClassLoss::kFocal) {
    const at::Tensor share = (foreground.sum(1).clamp_min(1) * images).to(at::kFloat).reciprocal();  // [N]
    return {(bbox_loss * share).sum(), focal_loss(output.cls_logits, labels, ignored, share, options.class_weights),
            positives, at::full_like(positives, images)};
  }
  return {bbox_loss.sum() / positives.clamp_min(1), hard_negative_loss(output.cls_logits, labels, ignored, options),
          positives, positives};
}

}  // namespace dinov3_det
