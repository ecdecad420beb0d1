#include "train/multibox_loss.h"

#include <ATen/ATen.h>

#include <limits>

#include "ops/box_coder.h"
#include "ops/boxes.h"
#include "train/matcher.h"

namespace dinov3_det {

namespace {

constexpr int64_t kNegativesPerPositive = 3;

// cls_loss [N, A], foreground [N, A] -> mask of each image's hardest negatives. As in torchvision, an image with too
// few negatives gets positives in this mask, whose loss then counts twice.
at::Tensor hardest_negatives(const at::Tensor& cls_loss, const at::Tensor& foreground) {
  const at::Tensor wanted = kNegativesPerPositive * foreground.sum(1, /*keepdim=*/true);
  const at::Tensor negative_loss = cls_loss.detach().masked_fill(foreground, -std::numeric_limits<double>::infinity());
  const at::Tensor order = std::get<1>(negative_loss.sort(1, /*descending=*/true));
  const at::Tensor rank = std::get<1>(order.sort(1));
  return rank < wanted;
}

}  // namespace

MultiboxLoss multibox_loss(const HeadOutput& output, const Targets& targets, const at::Tensor& default_boxes) {
  const at::Tensor matches = ssd_match(box_iou(targets.boxes, default_boxes), targets.counts);  // [N, A]
  const at::Tensor foreground = matches >= 0;
  const at::Tensor positives = foreground.sum();
  const at::Tensor divisor = positives.clamp_min(1);

  // The positives of the whole batch as rows: image, default box, ground truth.
  const at::Tensor rows = at::nonzero(foreground);  // [P, 2]
  const at::Tensor image = rows.select(1, 0), anchor = rows.select(1, 1);
  const at::Tensor object = matches.index({image, anchor});
  const at::Tensor target = encode_boxes(targets.boxes.index({image, object}), default_boxes.index({anchor}));
  const at::Tensor bbox_loss =
      at::smooth_l1_loss(output.bbox_regression.index({image, anchor}), target, at::Reduction::Sum);

  const at::Tensor labels = at::zeros_like(matches).index_put({image, anchor}, targets.labels.index({image, object}));
  const at::Tensor cls_loss = at::cross_entropy_loss(output.cls_logits.flatten(0, 1), labels.flatten(), {},
                                                     at::Reduction::None)
                                  .reshape(labels.sizes());  // [N, A]
  const at::Tensor negatives = hardest_negatives(cls_loss, foreground);
  const at::Tensor weight = foreground.to(cls_loss.dtype()) + negatives.to(cls_loss.dtype());
  return {bbox_loss / divisor, (cls_loss * weight).sum() / divisor, positives};
}

}  // namespace dinov3_det
