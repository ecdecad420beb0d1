#include "train/matcher.h"

#include <ATen/ATen.h>

namespace dinov3_det {

namespace {
constexpr double kIouThreshold = 0.5;
constexpr double kBackgroundIou = 0.4;

// Of a batch without objects.
at::Tensor no_matches(const at::Tensor& iou) {
  return at::full({iou.size(0), iou.size(2)}, kBackground, iou.options().dtype(at::kLong));
}

}  // namespace

at::Tensor ssd_match(const at::Tensor& iou, const at::Tensor& counts) {
  const int64_t images = iou.size(0), objects = iou.size(1);
  if (objects == 0) return no_matches(iou);
  const at::Tensor index = at::arange(objects, counts.options());  // [G]
  const at::Tensor real = index < counts.unsqueeze(1);             // [N, G]
  const at::Tensor quality = iou.masked_fill(real.logical_not().unsqueeze(-1), -1);

  const auto [best, best_object] = quality.max(1);  // [N, A] over G
  const at::Tensor matches = best_object.masked_fill(best < kIouThreshold, -1);

  // amax over object indices is "the later one wins"; padding takes part with -1 and so never wins.
  const at::Tensor best_anchor = std::get<1>(quality.max(2));  // [N, G] over A
  const at::Tensor candidate = index.expand({images, objects}).masked_fill(real.logical_not(), -1);
  const at::Tensor forced = at::full_like(matches, -1).scatter_reduce(1, best_anchor, candidate, "amax");
  return at::where(forced >= 0, forced, matches);
}

at::Tensor retinanet_match(const at::Tensor& iou, const at::Tensor& counts) {
  const int64_t objects = iou.size(1);
  if (objects == 0) return no_matches(iou);
  const at::Tensor real = at::arange(objects, counts.options()) < counts.unsqueeze(1);  // [N, G]
  const at::Tensor quality = iou.masked_fill(real.logical_not().unsqueeze(-1), -1);     // [N, G, A]
  const auto [best, best_object] = quality.max(1);                                      // [N, A] over G
  const at::Tensor most = quality.amax(2, /*keepdim=*/true);                            // [N, G, 1]
  const at::Tensor is_best = at::logical_and(quality == most, most > 0).any(1);         // [N, A]
  const at::Tensor unmatched = at::where(best < kBackgroundIou, kBackground, kIgnored);
  return at::where(at::logical_or(best >= kIouThreshold, is_best), best_object, unmatched);
}

}  // namespace dinov3_det
