#include "train/dense_loss.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/box_coder.h"
#include "train/box_iou_loss.h"
#include "train/class_weights.h"
#include "train/matcher.h"
#include "train/soft_assigner.h"

namespace dinov3_det {

namespace {

constexpr double kBoxWeight = 2;

// Of every positive: (P / (O n))^balance, where n of the batch's P positives belong to its object, and O objects have
// some. Their mean is 1. 0 where there is no object.
at::Tensor object_weights(const at::Tensor& matches, int64_t objects, double balance) {
  const at::Tensor foreground = matches >= 0;
  if (balance == 0) return foreground.to(at::kFloat);
  const at::Tensor of_object = at::zeros({matches.size(0), objects}, matches.options().dtype(at::kFloat))
                                   .scatter_add(1, matches.clamp_min(0), foreground.to(at::kFloat));  // [N, G]
  const at::Tensor mean = of_object.sum() / (of_object > 0).sum().clamp_min(1);
  const at::Tensor weight = (mean / of_object.gather(1, matches.clamp_min(0)).clamp_min(1)).pow(balance);
  const at::Tensor weights = weight.masked_fill(foreground.logical_not(), 0);
  return weights * (foreground.sum() / weights.sum().clamp_min(1e-12));
}

// logits [N, A, K - 1], label of each point (0: none) and its quality [N, A] -> [N, A]
at::Tensor quality_focal_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& quality) {
  const at::Tensor classes = at::arange(1, logits.size(-1) + 1, labels.options());
  const at::Tensor targets = (labels.unsqueeze(-1) == classes) * quality.unsqueeze(-1);  // [N, A, K - 1]
  const at::Tensor cross_entropy =
      at::binary_cross_entropy_with_logits(logits, targets, /*weight=*/{}, /*pos_weight=*/{}, at::Reduction::None);
  return (cross_entropy * (targets - logits.sigmoid()).square()).sum(-1);
}

}  // namespace

// As in multibox_loss no shape depends on values: a point without an object has itself as target, and no loss of boxes.
MultiboxLoss dense_loss(const HeadOutput& output, const Targets& given, const DefaultBoxes& cells,
                        const LossOptions& options, int64_t points_of_object) {
  const Targets targets = pad_targets(given, std::max<int64_t>(given.labels.size(1), 1));
  const at::Tensor boxes = decode_boxes(output.bbox_regression, cells.boxes, cells.coding);  // [N, A, 4]
  SoftAssignerOptions assigner;
  assigner.points_of_object = points_of_object;
  const auto [matches, quality] =
      assign_softly(output.cls_logits.detach(), boxes.detach(), targets, cells.boxes, assigner);
  const at::Tensor foreground = matches >= 0;
  const at::Tensor weights = object_weights(matches, targets.labels.size(1), options.object_balance);  // [N, A]
  const at::Tensor terms = (weights * quality).sum();
  const at::Tensor norm = terms.clamp_min(1);

  const at::Tensor object = matches.clamp_min(0);
  const at::Tensor labels = targets.labels.gather(1, object).masked_fill(foreground.logical_not(), 0);
  const at::Tensor class_loss =
      weigh_classes(quality_focal_loss(output.cls_logits.slice(-1, 1), labels, quality), labels, options.class_weights);
  const at::Tensor class_weights = at::where(foreground, weights, at::ones_like(weights));

  const at::Tensor in_box = foreground.unsqueeze(-1);
  const at::Tensor matched = targets.boxes.gather(1, object.unsqueeze(-1).expand({-1, -1, 4}));
  const at::Tensor box_loss =
      box_iou_loss(BoxLoss::kGiou, at::where(in_box, boxes, cells.boxes), at::where(in_box, matched, cells.boxes));
  return {kBoxWeight * (box_loss * weights * quality).sum() / norm, (class_loss * class_weights).sum() / norm,
          foreground.sum(), terms};
}

}  // namespace dinov3_det
