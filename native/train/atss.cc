#include "train/atss.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/boxes.h"

namespace dinov3_det {

namespace {

constexpr int64_t kCellsPerMap = 9;

at::Tensor centers(const at::Tensor& boxes) { return (boxes.slice(-1, 0, 2) + boxes.slice(-1, 2, 4)) / 2; }

// Indices of the default boxes of each map's nearest cells. All boxes of a cell have its centre, so the first stands
// for them.
at::Tensor nearest_boxes(const at::Tensor& boxes, const at::Tensor& default_boxes, const std::vector<BoxGrid>& grids) {
  const at::Tensor objects = centers(boxes).unsqueeze(2);  // [N, G, 1, 2]
  std::vector<at::Tensor> nearest;
  int64_t begin = 0;
  for (const auto [cells, boxes_per_cell] : grids) {
    const at::Tensor firsts = at::arange(cells, default_boxes.options().dtype(at::kLong)) * boxes_per_cell + begin;
    const at::Tensor distance = (objects - centers(default_boxes.index({firsts}))).square().sum(-1);  // [N, G, cells]
    const at::Tensor chosen =
        std::get<1>(distance.topk(std::min(kCellsPerMap, cells), -1, /*largest=*/false));  // [N, G, k]
    const at::Tensor within = at::arange(boxes_per_cell, firsts.options());
    nearest.push_back((firsts.index({chosen}).unsqueeze(-1) + within).flatten(2));  // [N, G, k * boxes_per_cell]
    begin += cells * boxes_per_cell;
  }
  return at::cat(nearest, -1);
}

}  // namespace

at::Tensor atss_match(const at::Tensor& boxes, const at::Tensor& counts, const at::Tensor& default_boxes,
                      const std::vector<BoxGrid>& grids) {
  const int64_t images = boxes.size(0), objects = boxes.size(1), anchors = default_boxes.size(0);
  const at::Tensor none = at::full({images, anchors}, -1, counts.options());
  if (objects == 0) return none;
  const at::Tensor index = at::arange(objects, counts.options()).unsqueeze(-1);  // [G, 1]
  const at::Tensor real = index < counts.reshape({images, 1, 1});                // [N, G, 1]
  const at::Tensor candidates = nearest_boxes(boxes, default_boxes, grids);      // [N, G, M]
  const at::Tensor candidate_boxes = default_boxes.index({candidates});          // [N, G, M, 4]
  const at::Tensor iou = box_iou(boxes, candidate_boxes);                        // [N, G, M]
  const at::Tensor threshold = iou.mean(-1, /*keepdim=*/true) + iou.std(-1, /*unbiased=*/true, /*keepdim=*/true);
  const at::Tensor center = centers(candidate_boxes), object = boxes.unsqueeze(2);
  const at::Tensor inside = at::logical_and(center > object.slice(-1, 0, 2), center < object.slice(-1, 2, 4)).all(-1);
  const at::Tensor positive = at::logical_and(at::logical_and(iou >= threshold, inside), real);

  // Per default box the largest IoU of its objects, then the last object that has it.
  const at::Tensor where = candidates.flatten(1);  // [N, G * M]
  const at::Tensor quality = iou.masked_fill(positive.logical_not(), -1).flatten(1);
  const at::Tensor best = at::full({images, anchors}, -1, iou.options()).scatter_reduce(1, where, quality, "amax");
  const at::Tensor wins = at::logical_and(positive.flatten(1), quality == best.gather(1, where));
  const at::Tensor winner = at::where(wins, index.expand_as(candidates).flatten(1), -1);
  return none.scatter_reduce(1, where, winner, "amax");
}

}  // namespace dinov3_det
