#include "ops/class_scores.h"

#include <ATen/ATen.h>

namespace dinov3_det {

at::Tensor class_scores(const at::Tensor& logits, Scoring scoring) {
  return scoring == Scoring::kSigmoid ? at::sigmoid(logits) : at::softmax(logits, -1);
}

}  // namespace dinov3_det
