#include "ops/compact_candidates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

namespace dinov3_det {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

struct Best {
  at::Tensor scores;  // [..., k]
  at::Tensor places;  // [..., k]
};

// Of the last dimension, equal scores by place, which topk does not promise.
Best best_of(const at::Tensor& scores, int64_t most) {
  const int64_t k = std::min(most, scores.size(-1));
  const auto [sorted, order] = scores.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true);
  return {sorted.slice(-1, 0, k), order.slice(-1, 0, k)};
}

// scores, labels, anchors [N, R], boxes [N, A, 4] -> [N, R, 6]
at::Tensor rows_of(const at::Tensor& scores, const at::Tensor& labels, const at::Tensor& anchors,
                   const at::Tensor& boxes) {
  const at::Tensor chosen = boxes.gather(1, anchors.unsqueeze(-1).expand({-1, -1, 4}));  // [N, R, 4]
  return at::cat({scores.unsqueeze(-1), chosen, labels.to(at::kFloat).unsqueeze(-1)}, -1);
}

at::Tensor best_of_classes(const at::Tensor& scores, const at::Tensor& boxes, int64_t most) {
  const auto [best, anchors] = best_of(scores.transpose(1, 2), most);  // [N, K, k]
  const at::Tensor labels = at::arange(scores.size(2), anchors.options()).unsqueeze(-1).expand_as(anchors);
  return rows_of(best.flatten(1), labels.flatten(1), anchors.flatten(1), boxes);
}

at::Tensor best_of_maps(const at::Tensor& scores, const at::Tensor& boxes, const std::vector<BoxGrid>& grids,
                        int64_t most) {
  std::vector<at::Tensor> rows;
  int64_t begin = 0;
  for (const auto [cells, boxes_per_cell] : grids) {
    const int64_t end = begin + cells * boxes_per_cell;
    const auto [best, places] = best_of(scores.slice(1, begin, end).flatten(1), most);  // [N, k]
    const at::Tensor anchors = at::div(places, scores.size(2), "floor") + begin;
    rows.push_back(rows_of(best, places.remainder(scores.size(2)), anchors, boxes));
    begin = end;
  }
  return at::cat(rows, 1);
}

}  // namespace

at::Tensor compact_candidates(const at::Tensor& scores, const at::Tensor& boxes, const std::vector<BoxGrid>& grids,
                              const PostprocessOptions& options) {
  const at::Tensor above = at::logical_and(scores > static_cast<float>(options.score_threshold),
                                           at::arange(scores.size(2), scores.options()) > 0);  // no background
  const at::Tensor candidates = scores.masked_fill(above.logical_not(), kNone);                // [N, A, K]
  const at::Tensor rows = options.topk_per == TopkPer::kMap
                              ? best_of_maps(candidates, boxes, grids, options.topk_candidates)
                              : best_of_classes(candidates, boxes, options.topk_candidates);
  return rows.cpu().contiguous();
}

NmsCandidates read_candidates(const at::Tensor& rows, int64_t classes) {
  const auto values = rows.accessor<float, 2>();
  std::vector<std::vector<int64_t>> chosen(classes);
  for (int64_t row = 0; row < rows.size(0); row++) {
    if (values[row][0] > kNone) chosen[static_cast<int64_t>(values[row][5])].push_back(row);
  }
  NmsCandidates candidates;
  for (std::vector<int64_t>& members : chosen) {
    std::ranges::stable_sort(members, std::ranges::greater{}, [&](int64_t row) { return values[row][0]; });
    for (const int64_t row : members) {
      for (int64_t corner = 1; corner <= 4; corner++) candidates.boxes.push_back(values[row][corner]);
      candidates.scores.push_back(values[row][0]);
      candidates.labels.push_back(static_cast<int32_t>(values[row][5]));
    }
  }
  return candidates;
}

}  // namespace dinov3_det
