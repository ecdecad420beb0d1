#pragma once

#include <ATen/core/Tensor.h>

#include "base/names.h"
#include "ops/class_scores.h"

namespace dinov3_det {

// kHardNegative: softmax cross entropy of the positives and the hardest negatives (SSD, Liu et al. 2016).
// kFocal: sigmoid focal loss of every default box (RetinaNet, Lin et al. 2017); the column of the background is unused.
// kQuality: quality focal loss of every point of a dense head (Li et al. 2020), as RTMDet has it.
enum class ClassLoss { kHardNegative, kFocal, kQuality };
constexpr Names<ClassLoss, 3> kClassLosses{
    {{"hard-negative", ClassLoss::kHardNegative}, {"focal", ClassLoss::kFocal}, {"quality", ClassLoss::kQuality}}};

// kSmoothL1 and kL1 of the codes, the others of the decoded boxes.
enum class BoxLoss { kSmoothL1, kL1, kGiou, kDiou, kCiou };
constexpr Names<BoxLoss, 5> kBoxLosses{{{"smooth-l1", BoxLoss::kSmoothL1},
                                        {"l1", BoxLoss::kL1},
                                        {"giou", BoxLoss::kGiou},
                                        {"diou", BoxLoss::kDiou},
                                        {"ciou", BoxLoss::kCiou}}};

// What finds the positives: ssd_match, retinanet_match, atss_match or, with the quality loss, assign_softly.
enum class Assigner { kSsd, kRetinaNet, kAtss, kSoft };
constexpr Names<Assigner, 4> kAssigners{{{"ssd", Assigner::kSsd},
                                         {"retinanet", Assigner::kRetinaNet},
                                         {"atss", Assigner::kAtss},
                                         {"soft", Assigner::kSoft}}};

// What the scores of a detector mean that is trained with a class loss.
constexpr Scoring scoring_of(ClassLoss loss) {
  return loss == ClassLoss::kHardNegative ? Scoring::kSoftmax : Scoring::kSigmoid;
}

// What a detector is trained on; the defaults are torchvision's SSD.
struct LossOptions {
  ClassLoss classification = ClassLoss::kHardNegative;
  BoxLoss box = BoxLoss::kSmoothL1;
  bool background_negatives = false;  // hard-negative: images without objects have negatives too
  Assigner assigner = Assigner::kSsd;
  double object_balance = 1;  // quality: 1 has every object count the same, 0 every point (mmdet's)
  // [K] float32: how much each positive counts in the loss of classes, by its label; that of the background is 1.
  // Undefined: all alike.
  at::Tensor class_weights = {};
};

}  // namespace dinov3_det
