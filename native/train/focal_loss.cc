#include "train/focal_loss.h"

#include <ATen/ATen.h>

namespace dinov3_det {

namespace {
constexpr double kAlpha = 0.25;
}

at::Tensor sigmoid_focal_loss(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor cross_entropy =
      at::binary_cross_entropy_with_logits(logits, targets, /*weight=*/{}, /*pos_weight=*/{}, at::Reduction::None);
  const at::Tensor wrong = (targets - at::sigmoid(logits)).abs();            // 1 - p_t
  const at::Tensor alpha = kAlpha * targets + (1 - kAlpha) * (1 - targets);  // alpha_t
  return alpha * wrong.square() * cross_entropy;
}

}  // namespace dinov3_det
