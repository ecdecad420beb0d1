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

// Some of the objects, those of one number in all images. Everything is [N, g, A]: image, object, point.
struct Group {
  Targets targets;
  at::Tensor real;  // [N, g]: no padding

  Group(const Targets& all, int64_t begin, int64_t count)
      : targets{all.boxes.narrow(1, begin, count), all.labels.narrow(1, begin, count), all.counts},
        real(at::arange(begin, begin + count, all.labels.options()) < all.counts.unsqueeze(1)) {}
};

struct Points {
  at::Tensor corner;  // [A, 2]
  at::Tensor stride;  // [A]

  explicit Points(const at::Tensor& cells)
      : corner(cells.slice(-1, 0, 2)), stride(cells.select(-1, 2) - cells.select(-1, 0)) {}
};

// Pixels from the centres of the objects to the points.
at::Tensor distances(const Group& group, const Points& points) {
  const at::Tensor low = group.targets.boxes.slice(-1, 0, 2), high = group.targets.boxes.slice(-1, 2, 4);
  return (points.corner - ((low + high) / 2).unsqueeze(2)).square().sum(-1).sqrt();
}

// Of an object in which no point lies, the point whose cell's corner is nearest to its centre.
at::Tensor with_nearest(const at::Tensor& inside, const at::Tensor& distance) {
  const at::Tensor none = inside.any(-1, /*keepdim=*/true).logical_not();
  const at::Tensor nearest = at::zeros_like(inside).scatter(-1, distance.argmin(-1, /*keepdim=*/true), true);
  return inside.logical_or(nearest.logical_and(none));
}

// The points that lie in any of the objects: [N, A].
at::Tensor points_inside(const Group& group, const Points& points, bool nearest_for_pointless) {
  const at::Tensor low = group.targets.boxes.slice(-1, 0, 2).unsqueeze(2);  // [N, g, 1, 2]
  const at::Tensor high = group.targets.boxes.slice(-1, 2, 4).unsqueeze(2);
  at::Tensor inside = at::minimum(points.corner - low, high - points.corner).amin(-1) > 0;
  if (nearest_for_pointless) inside = with_nearest(inside, distances(group, points));
  return inside.logical_and(group.real.unsqueeze(-1)).any(1);
}

// Binary cross entropy against the IoU at the object's class and 0 at all others, each weighted by the squared distance
// of its score from that. The sum over classes is that of pure negatives [N, A], corrected at the one class.
at::Tensor class_cost(const at::Tensor& logits, const at::Tensor& negative, const at::Tensor& labels,
                      const at::Tensor& iou) {
  const at::Tensor index = (labels - 1).clamp_min(0).unsqueeze(-1).expand({-1, -1, logits.size(1)});
  const at::Tensor own = logits.transpose(1, 2).gather(1, index);
  const at::Tensor score = own.sigmoid(), softplus = at::softplus(own);
  return negative.unsqueeze(1) - softplus * score.square() + (softplus - own * iou) * (iou - score).square();
}

// What an object chooses, and what its points would cost it.
struct Choice {
  at::Tensor places;  // [N, g, candidates]: the points of least cost
  at::Tensor taken;   // [N, g, candidates]: whether it takes them
  at::Tensor least;   // [N, A]: the least cost of a point
  at::Tensor owner;   // [N, A]: the object of that
};

class Chooser {
 public:
  Chooser(const at::Tensor& logits, const at::Tensor& boxes, const Points& points, const SoftAssignerOptions& options)
      : logits_(logits.slice(-1, 1)),
        negative_((at::softplus(logits_) * logits_.sigmoid().square()).sum(-1)),
        boxes_(boxes),
        points_(points),
        options_(options) {}

  // allowed [N, A]: the points that lie in some object.
  Choice choose(const Group& group, const at::Tensor& allowed) const {
    const int64_t candidates = std::min(options_.candidates, boxes_.size(1));
    const at::Tensor forbidden = allowed.unsqueeze(1).logical_and(group.real.unsqueeze(-1)).logical_not();
    const at::Tensor iou = box_iou(group.targets.boxes, boxes_.unsqueeze(1));
    const at::Tensor center = at::pow(10.0, distances(group, points_) / points_.stride - options_.center_radius);
    const at::Tensor cost = (class_cost(logits_, negative_, group.targets.labels, iou) -
                             options_.iou_weight * (iou + kEpsilon).log() + center)
                                .masked_fill(forbidden, kNever);
    at::Tensor count = std::get<0>(iou.masked_fill(forbidden, 0).topk(candidates, -1))
                           .sum(-1, /*keepdim=*/true)
                           .to(at::kInt)
                           .clamp_min(1);  // [N, g, 1]
    if (options_.points_of_object > 0) count = at::full_like(count, options_.points_of_object);
    const auto [least, places] = cost.topk(candidates, -1, /*largest=*/false);
    const at::Tensor rank = at::arange(candidates, count.options());
    const auto [least_of_point, owner] = cost.min(1);
    return {places, (rank < count).logical_and(least < kNever), least_of_point, owner};
  }

 private:
  at::Tensor logits_;    // [N, A, K - 1]
  at::Tensor negative_;  // [N, A]
  at::Tensor boxes_;
  const Points& points_;
  const SoftAssignerOptions& options_;
};

// Who gets a point, while the objects choose group by group: the one that has chosen it or, of several, the one of
// least cost among all objects, as mmdet has it.
class Owners {
 public:
  Owners(int64_t images, int64_t points, const at::TensorOptions& options)
      : chosen_(at::zeros({images, points}, options.dtype(at::kInt))),
        chooser_(at::zeros({images, points}, options.dtype(at::kLong))),
        cheapest_(at::zeros({images, points}, options.dtype(at::kLong))),
        least_(at::full({images, points}, std::numeric_limits<float>::infinity(), options.dtype(at::kFloat))) {}

  void add(const Choice& choice, int64_t begin) {
    const at::Tensor places = choice.places.flatten(1), taken = choice.taken.flatten(1);
    const at::Tensor object = at::arange(begin, begin + choice.places.size(1), places.options())
                                  .unsqueeze(-1)
                                  .expand_as(choice.places)
                                  .flatten(1);
    chosen_.scatter_add_(1, places, taken.to(at::kInt));
    chooser_ = chooser_.scatter_reduce(1, places, object * taken, "amax");
    const at::Tensor cheaper = choice.least < least_;
    cheapest_ = at::where(cheaper, choice.owner + begin, cheapest_);
    least_ = at::where(cheaper, choice.least, least_);
  }

  // [N, A]: an object, or kBackground
  at::Tensor matches() const {
    return at::where(chosen_ > 1, cheapest_, chooser_).masked_fill(chosen_ == 0, kBackground);
  }

 private:
  at::Tensor chosen_;    // how many objects have chosen the point
  at::Tensor chooser_;   // one that has
  at::Tensor cheapest_;  // the first object of least cost, and that cost
  at::Tensor least_;
};

// IoU of each box with its own target: [N, A, 4], [N, A, 4] -> [N, A]
at::Tensor pairwise_iou(const at::Tensor& targets, const at::Tensor& boxes) {
  return box_iou(targets, boxes.unsqueeze(2)).squeeze(-1);
}

}  // namespace

SoftAssignment assign_softly(const at::Tensor& logits, const at::Tensor& boxes, const Targets& targets,
                             const at::Tensor& cells, const SoftAssignerOptions& options) {
  const c10::NoGradGuard no_grad;
  const Points points(cells);
  const int64_t images = targets.labels.size(0), objects = targets.labels.size(1), of_image = cells.size(0);
  const int64_t size = std::clamp<int64_t>(options.most_pairs / (images * of_image), 1, objects);
  at::Tensor allowed = at::zeros({images, of_image}, boxes.options().dtype(at::kBool));
  const auto for_each_group = [&](const auto& look) {
    for (int64_t begin = 0; begin < objects; begin += size) {
      look(Group(targets, begin, std::min(size, objects - begin)), begin);
    }
  };
  for_each_group([&](const Group& group, int64_t) {
    allowed = allowed.logical_or(points_inside(group, points, options.nearest_for_pointless));
  });
  const Chooser chooser(logits, boxes, points, options);
  Owners owners(images, of_image, boxes.options());
  for_each_group([&](const Group& group, int64_t begin) { owners.add(chooser.choose(group, allowed), begin); });

  const at::Tensor matches = owners.matches();
  const at::Tensor index = matches.clamp_min(0).unsqueeze(-1).expand({-1, -1, 4});
  const at::Tensor quality = pairwise_iou(targets.boxes.gather(1, index), boxes);
  return {matches, quality.masked_fill(matches == kBackground, 0)};
}

}  // namespace dinov3_det
