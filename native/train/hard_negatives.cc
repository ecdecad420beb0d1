#include "train/hard_negatives.h"

#include <ATen/ATen.h>

#include <limits>

namespace dinov3_det {

namespace {
constexpr int64_t kNegativesPerPositive = 3;
}

at::Tensor hard_negatives(const at::Tensor& cls_loss, const at::Tensor& foreground, bool of_background) {
  at::Tensor positives = foreground.sum(1, /*keepdim=*/true);  // [N, 1]
  if (of_background) {
    const at::Tensor average = at::div(positives.sum(), positives.size(0), "floor").clamp_min(1);
    positives = at::where(positives > 0, positives, average);
  }
  const at::Tensor negative_loss = cls_loss.detach().masked_fill(foreground, -std::numeric_limits<double>::infinity());
  const at::Tensor order = std::get<1>(negative_loss.sort(1, /*descending=*/true));
  const at::Tensor rank = std::get<1>(order.sort(1));
  return rank < kNegativesPerPositive * positives;
}

}  // namespace dinov3_det
