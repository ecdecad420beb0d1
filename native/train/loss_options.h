#pragma once

#include "base/names.h"
#include "ops/class_scores.h"

namespace dinov3_det {

// kHardNegative: softmax cross entropy of the positives and the hardest negatives (SSD, Liu et al. 2016).
// kFocal: sigmoid focal loss of every default box (RetinaNet, Lin et al. 2017); the column of the background is unused.
enum class ClassLoss { kHardNegative, kFocal };
constexpr Names<ClassLoss, 2> kClassLosses{{{"hard-negative", ClassLoss::kHardNegative}, {"focal", ClassLoss::kFocal}}};

// kSmoothL1 and kL1 of the codes, the others of the decoded boxes.
enum class BoxLoss { kSmoothL1, kL1, kGiou, kDiou, kCiou };
constexpr Names<BoxLoss, 5> kBoxLosses{{{"smooth-l1", BoxLoss::kSmoothL1},
                                        {"l1", BoxLoss::kL1},
                                        {"giou", BoxLoss::kGiou},
                                        {"diou", BoxLoss::kDiou},
                                        {"ciou", BoxLoss::kCiou}}};

// What finds the positives: ssd_match, retinanet_match or atss_match.
enum class Assigner { kSsd, kRetinaNet, kAtss };
constexpr Names<Assigner, 3> kAssigners{
    {{"ssd", Assigner::kSsd}, {"retinanet", Assigner::kRetinaNet}, {"atss", Assigner::kAtss}}};

// What the scores of a detector mean that is trained with a class loss.
constexpr Scoring scoring_of(ClassLoss loss) {
  return loss == ClassLoss::kFocal ? Scoring::kSigmoid : Scoring::kSoftmax;
}

// What a detector is trained on; the defaults are torchvision's SSD.
struct LossOptions {
  ClassLoss classification = ClassLoss::kHardNegative;
  BoxLoss box = BoxLoss::kSmoothL1;
  bool background_negatives = false;  // hard-negative: images without objects have negatives too
  Assigner assigner = Assigner::kSsd;
};

}  // namespace dinov3_det
