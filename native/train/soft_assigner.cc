#include "train/soft_assigner.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/boxes.h"
#include "train/matcher.h"

namespace dinov3_det {

namespace {

constexpr double kEpsilon = 1e-7;
constexpr double kNever = std::numeric_limits<float>::max();

// Everything is [N, G, A]: image, object, point.
class Costs {
 public:
  Costs(const at::Tensor& logits, const at::Tensor& boxes, const Targets& targets, const at::Tensor& cells,
        const SoftAssignerOptions& options)
      : iou_(box_iou(targets.boxes, boxes.unsqueeze(1))) {
    const at::Tensor objects = at::arange(targets.labels.size(1), targets.labels.options());
    const at::Tensor real = (objects < targets.counts.unsqueeze(1)).unsqueeze(-1);  // [N, G, 1]
    const at::Tensor points = cells.slice(-1, 0, 2);                                // [A, 2]
    const at::Tensor strides = cells.select(-1, 2) - cells.select(-1, 0);           // [A]
    const at::Tensor low = targets.boxes.slice(-1, 0, 2).unsqueeze(2);              // [N, G, 1, 2]
    const at::Tensor high = targets.boxes.slice(-1, 2, 4).unsqueeze(2);
    at::Tensor inside = at::minimum(points - low, high - points).amin(-1) > 0;
    const at::Tensor distance = (points - (low + high) / 2).square().sum(-1).sqrt();  // pixels
    if (options.nearest_for_pointless) inside = with_nearest(inside, distance);
    inside = inside.logical_and(real);
    allowed_ = inside.any(1, /*keepdim=*/true).logical_and(real);
    const at::Tensor center = at::pow(10.0, distance / strides - options.center_radius);
    const at::Tensor cost = class_cost(logits, targets.labels) - options.iou_weight * (iou_ + kEpsilon).log() + center;
    cost_ = cost.masked_fill(allowed_.logical_not(), kNever);
  }

  const at::Tensor& iou() const { return iou_; }
  const at::Tensor& cost() const { return cost_; }
  at::Tensor allowed_iou() const { return iou_.masked_fill(allowed_.logical_not(), 0); }

 private:
  // Of an object in which no point lies, the point whose cell's corner is nearest to its centre.
  static at::Tensor with_nearest(const at::Tensor& inside, const at::Tensor& distance) {
    const at::Tensor none = inside.any(-1, /*keepdim=*/true).logical_not();
    const at::Tensor nearest = at::zeros_like(inside).scatter(-1, distance.argmin(-1, /*keepdim=*/true), true);
    return inside.logical_or(nearest.logical_and(none));
  }

  // Binary cross entropy against the IoU at the object's class and 0 at all others, each weighted by the squared
  // distance of its score from that. The sum over classes is that of pure negatives, corrected at the one class.
  at::Tensor class_cost(const at::Tensor& all_logits, const at::Tensor& labels) const {
    const at::Tensor logits = all_logits.slice(-1, 1);  // [N, A, K - 1]
    const at::Tensor negative = (at::softplus(logits) * logits.sigmoid().square()).sum(-1).unsqueeze(1);  // [N, 1, A]
    const at::Tensor index = (labels - 1).clamp_min(0).unsqueeze(-1).expand({-1, -1, logits.size(1)});
    const at::Tensor own = logits.transpose(1, 2).gather(1, index);  // [N, G, A]
    const at::Tensor score = own.sigmoid(), softplus = at::softplus(own);
    return negative - softplus * score.square() + (softplus - own * iou_) * (iou_ - score).square();
  }

  at::Tensor iou_;
  at::Tensor allowed_;  // the point lies in some object, and the object is no padding
  at::Tensor cost_;
};

}  // namespace

SoftAssignment assign_softly(const at::Tensor& logits, const at::Tensor& boxes, const Targets& targets,
                             const at::Tensor& cells, const SoftAssignerOptions& options) {
  const c10::NoGradGuard no_grad;
  const Costs costs(logits, boxes, targets, cells, options);
  const int64_t candidates = std::min(options.candidates, cells.size(0));
  at::Tensor points_of_object =
      std::get<0>(costs.allowed_iou().topk(candidates, -1)).sum(-1, true).to(at::kInt).clamp_min(1);  // [N, G, 1]
  if (options.points_of_object > 0) points_of_object = at::full_like(points_of_object, options.points_of_object);
  const auto [least, places] = costs.cost().topk(candidates, -1, /*largest=*/false);
  const at::Tensor rank = at::arange(candidates, points_of_object.options());
  const at::Tensor taken = (rank < points_of_object).logical_and(least < kNever);
  at::Tensor chosen = at::zeros_like(costs.cost(), at::kBool).scatter(-1, places, taken);  // [N, G, A]
  // mmdet gives a point that several objects have chosen to the one of least cost among all.
  const at::Tensor cheapest = at::zeros_like(chosen).scatter(1, costs.cost().argmin(1, true), true);
  chosen = at::where(chosen.sum(1, true) > 1, cheapest, chosen);
  const at::Tensor matches =
      at::where(chosen.any(1), chosen.to(at::kByte).argmax(1), at::full({}, kBackground, places.options()));
  return {matches, (chosen * costs.iou()).sum(1)};
}

}  // namespace dinov3_det
