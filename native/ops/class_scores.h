#pragma once

#include <ATen/core/Tensor.h>

#include "base/names.h"

namespace dinov3_det {

// How a head's logits are probabilities: of one class out of K with the background (softmax), or of each class by
// itself, the background's column without a meaning (sigmoid).
enum class Scoring { kSoftmax, kSigmoid };
constexpr Names<Scoring, 2> kScorings{{{"softmax", Scoring::kSoftmax}, {"sigmoid", Scoring::kSigmoid}}};

// logits [..., K] -> scores of that shape
at::Tensor class_scores(const at::Tensor& logits, Scoring scoring);

}  // namespace dinov3_det
