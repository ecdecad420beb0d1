#include "train/detection_loss.h"

#include <c10/util/Exception.h>

#include "train/dense_loss.h"

namespace dinov3_det {

void check_loss(const LossOptions& options, const BoxCoding& coding) {
  const bool dense = coding.kind == BoxCoding::Kind::kDistances;
  const bool quality = options.classification == ClassLoss::kQuality;
  TORCH_CHECK(quality == dense, dense ? "a dense head is trained with the class loss quality"
                                      : "the class loss quality is for a dense head");
  TORCH_CHECK((options.assigner == Assigner::kSoft) == dense,
              dense ? "a dense head needs the assigner soft" : "the assigner soft is for a dense head");
  TORCH_CHECK(!dense || options.box == BoxLoss::kGiou, "a dense head is trained with the box loss giou");
}

MultiboxLoss detection_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& default_boxes,
                            const LossOptions& options) {
  if (options.classification == ClassLoss::kQuality) {
    return dense_loss(output, targets, default_boxes, options);
  }
  return multibox_loss(output, targets, default_boxes, options);
}

MultiboxLoss one_to_one_loss(const HeadOutput& output, const Targets& targets, const DefaultBoxes& cells,
                             const LossOptions& options) {
  return dense_loss(output, targets, cells, options, /*points_of_object=*/1);
}

}  // namespace dinov3_det
