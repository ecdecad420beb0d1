#include "train/multibox_loss.h"

#include <ATen/ATen.h>

#include "ops/box_coder.h"
#include "ops/boxes.h"
#include "train/atss.h"
#include "train/box_iou_loss.h"
#include "train/focal_loss.h"
#include "train/hard_negatives.h"
#include "train/matcher.h"

namespace dinov3_det {

namespace {

// codes [P, 4], default_boxes [P, 4], boxes [P, 4] -> [P, 1] or, coordinate by coordinate, [P, 4]
at::Tensor box_loss(BoxLoss kind, const at::Tensor& codes, const at::Tensor& default_boxes, const at::Tensor& boxes) {
  switch (kind) {
    case BoxLoss::kGiou:
      return giou_loss(decode_boxes(codes, default_boxes), boxes).unsqueeze(-1);
    case BoxLoss::kDiou:
      return diou_loss(decode_boxes(codes, default_boxes), boxes).unsqueeze(-1);
    case BoxLoss::kCiou:
      return ciou_loss(decode_boxes(codes, default_boxes), boxes).unsqueeze(-1);
    case BoxLoss::kSmoothL1:
      break;
  }
  return at::smooth_l1_loss(codes, encode_boxes(boxes, default_boxes), at::Reduction::None);
}

// logits [N, A, K], labels [N, A] with 0 for the background -> scalar
at::Tensor hard_negative_loss(const at::Tensor& logits, const at::Tensor& labels, bool of_background) {
  const at::Tensor foreground = labels > 0;
  const at::Tensor loss =
      at::cross_entropy_loss(logits.flatten(0, 1), labels.flatten(), {}, at::Reduction::None).reshape(labels.sizes());
  const at::Tensor negatives = hard_negatives(loss, foreground, of_background);
  const at::Tensor weight = foreground.to(loss.dtype()) + negatives.to(loss.dtype());
  return (loss * weight).sum() / foreground.sum().clamp_min(of_background ? labels.size(0) : 1);
}

// The same arguments, and what each image's loss is multiplied by [N]. Of K columns the background's is left out.
at::Tensor focal_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& share) {
  const at::Tensor targets = at::one_hot(labels, logits.size(-1)).slice(-1, 1).to(logits.dtype());  // [N, A, K - 1]
  return (sigmoid_focal_loss(logits.slice(-1, 1), targets).sum({1, 2}) * share).sum();
}

}  // namespace

MultiboxLoss multibox_loss(const HeadOutput& output, const Targets& targets, const at::Tensor& default_boxes,
                           const std::vector<BoxGrid>& grids, const LossOptions& options) {
  const at::Tensor matches = options.assigner == Assigner::kAtss
                                 ? atss_match(targets.boxes, targets.counts, default_boxes, grids)
                                 : ssd_match(box_iou(targets.boxes, default_boxes), targets.counts);  // [N, A]
  const at::Tensor foreground = matches >= 0;
  const at::Tensor positives = foreground.sum();

  // The positives of the whole batch as rows: image, default box, ground truth.
  const at::Tensor rows = at::nonzero(foreground);  // [P, 2]
  const at::Tensor image = rows.select(1, 0), anchor = rows.select(1, 1);
  const at::Tensor object = matches.index({image, anchor});
  const at::Tensor labels = at::zeros_like(matches).index_put({image, anchor}, targets.labels.index({image, object}));
  const at::Tensor bbox_loss = box_loss(options.box, output.bbox_regression.index({image, anchor}),
                                        default_boxes.index({anchor}), targets.boxes.index({image, object}));
  if (options.classification == ClassLoss::kFocal) {
    const at::Tensor share = (foreground.sum(1).clamp_min(1) * matches.size(0)).to(at::kFloat).reciprocal();  // [N]
    return {(bbox_loss.sum(1) * share.index({image})).sum(), focal_loss(output.cls_logits, labels, share), positives};
  }
  return {bbox_loss.sum() / positives.clamp_min(1),
          hard_negative_loss(output.cls_logits, labels, options.background_negatives), positives};
}

}  // namespace dinov3_det
