#include "ops/postprocess.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "ops/boxes.h"
#include "ops/compact_candidates.h"
#include "ops/diou_nms.h"
#include "ops/nms.h"
#include "ops/ranking.h"
#include "ops/weighted_nms.h"

namespace dinov3_det {

namespace {

// What a head found in one image, on the CPU, contiguous.
struct ImageOutput {
  const float* scores;  // [A, K]
  const float* boxes;   // [A, 4]
  int64_t anchors;
  int64_t classes;

  float score(int64_t anchor, int64_t label) const { return scores[anchor * classes + label]; }
};

void append(NmsCandidates& candidates, const ImageOutput& output, int64_t anchor, int64_t label) {
  const float* box = output.boxes + 4 * anchor;
  candidates.boxes.insert(candidates.boxes.end(), box, box + 4);
  candidates.scores.push_back(output.score(anchor, label));
  candidates.labels.push_back(static_cast<int32_t>(label));
}

// By class, within one by falling score, equal ones by default box.
NmsCandidates best_of_classes(const ImageOutput& output, const PostprocessOptions& options) {
  const float threshold = static_cast<float>(options.score_threshold);
  const auto [scores, boxes, anchors, classes] = output;
  NmsCandidates candidates;
  std::vector<int32_t> members;
  std::vector<uint32_t> keys(anchors);
  for (int64_t label = 1; label < classes; label++) {
    members.clear();
    for (int64_t anchor = 0; anchor < anchors; anchor++) {
      const float score = scores[anchor * classes + label];
      keys[anchor] = falling_key(score);
      if (score > threshold) members.push_back(static_cast<int32_t>(anchor));
    }
    sort_by_key(members, keys);
    const int64_t keep = std::min<int64_t>(options.topk_candidates, static_cast<int64_t>(members.size()));
    for (int64_t i = 0; i < keep; i++) append(candidates, output, members[i], label);
  }
  return candidates;
}

// In the same order.
NmsCandidates best_of_maps(const ImageOutput& output, const std::vector<BoxGrid>& grids,
                           const PostprocessOptions& options) {
  const float threshold = static_cast<float>(options.score_threshold);
  std::vector<std::vector<int64_t>> chosen(output.classes);  // default boxes of each class
  int64_t begin = 0, end = 0;
  for (const auto [cells, boxes_per_cell] : grids) {
    end += cells * boxes_per_cell * output.classes;
    std::vector<int64_t> places;  // in the scores
    std::vector<uint32_t> keys;
    for (int64_t place = begin; place < end; place++) {
      if (!(output.scores[place] > threshold) || place % output.classes == 0) continue;
      places.push_back(place);
      keys.push_back(falling_key(output.scores[place]));
    }
    std::vector<int32_t> order(places.size());
    std::iota(order.begin(), order.end(), 0);
    sort_by_key(order, keys);
    order.resize(std::min(order.size(), static_cast<size_t>(options.topk_candidates)));
    for (const int32_t i : order) chosen[places[i] % output.classes].push_back(places[i] / output.classes);
    begin = end;
  }
  NmsCandidates candidates;
  for (int64_t label = 1; label < output.classes; label++) {
    std::ranges::stable_sort(chosen[label], std::ranges::greater{},
                             [&](int64_t anchor) { return output.score(anchor, label); });
    for (const int64_t anchor : chosen[label]) append(candidates, output, anchor, label);
  }
  return candidates;
}

// Of the candidates what NMS leaves, by falling score.
std::vector<int64_t> suppressed(const NmsCandidates& candidates, const PostprocessOptions& options) {
  if (options.nms == Nms::kNone) {
    const std::vector<int32_t> order = by_falling_score(candidates.scores);
    return {order.begin(), order.end()};
  }
  return batched_nms(candidates, options.nms_threshold, options.nms == Nms::kDiou ? suppress_by_diou : suppress_by_iou);
}

// Whether a box lies where the input shows nothing of the image.
bool is_beside(const float* box, const ImageSize& area, const ImageSize& input) {
  return (area.width < input.width && box[0] >= static_cast<float>(area.width)) ||
         (area.height < input.height && box[1] >= static_cast<float>(area.height));
}

Detections detections_of(NmsCandidates candidates, const ImageSize& input, const ImageFrame& frame,
                         const PostprocessOptions& options) {
  const ImageSize area = frame.area.value_or(input);
  const float sides[2] = {static_cast<float>(area.width), static_cast<float>(area.height)};
  const float ratios[2] = {static_cast<float>(frame.original.width) / sides[0],
                           static_cast<float>(frame.original.height) / sides[1]};
  std::vector<int64_t> kept = suppressed(candidates, options);
  std::erase_if(kept, [&](int64_t index) { return is_beside(&candidates.boxes[4 * index], area, input); });
  kept.resize(std::min(kept.size(), static_cast<size_t>(options.max_detections)));
  if (options.nms == Nms::kWeighted) weight_boxes(candidates, kept, options.nms_threshold);
  Detections detections;
  for (const int64_t index : kept) {
    for (int64_t corner = 0; corner < 4; corner++) {
      const float inside = std::min(candidates.boxes[4 * index + corner], sides[corner % 2]);
      detections.boxes.push_back(inside * ratios[corner % 2]);
    }
    detections.scores.push_back(candidates.scores[index]);
    detections.labels.push_back(candidates.labels[index]);
  }
  return detections;
}

template <class T>
void extend(std::vector<T>& all, const std::vector<T>& part) {
  all.insert(all.end(), part.begin(), part.end());
}

}  // namespace

Detections postprocess(const HeadOutput& output, const DefaultBoxes& default_boxes, const ImageSize& input,
                       const std::vector<ImageFrame>& frames, const PostprocessOptions& options, Scoring scoring,
                       std::optional<bool> compact) {
  at::Tensor scores = class_scores(output.cls_logits, scoring).to(at::kFloat);  // [N, A, K]
  const at::Tensor decoded = decode_boxes(output.bbox_regression, default_boxes.boxes, default_boxes.coding);
  at::Tensor boxes = clip_boxes(decoded, input.width, input.height).to(at::kFloat);  // [N, A, 4]
  const int64_t images = scores.size(0), anchors = scores.size(1), classes = scores.size(2);

  at::Tensor rows;
  if (compact.value_or(!scores.is_cpu())) {
    rows = compact_candidates(scores, boxes, default_boxes.grids, options);  // [N, R, 6]
  } else {
    scores = scores.cpu().contiguous();
    boxes = boxes.cpu().contiguous();
  }
  const auto candidates = [&](int64_t i) {
    if (rows.defined()) return read_candidates(rows[i], classes);
    const ImageOutput image{scores.const_data_ptr<float>() + i * anchors * classes,
                            boxes.const_data_ptr<float>() + i * anchors * 4, anchors, classes};
    return options.topk_per == TopkPer::kMap ? best_of_maps(image, default_boxes.grids, options)
                                             : best_of_classes(image, options);
  };
  std::vector<Detections> parts(images);
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) parts[i] = detections_of(candidates(i), input, frames[i], options);
  });
  Detections all;
  for (const Detections& part : parts) {
    all.counts.push_back(static_cast<int32_t>(part.scores.size()));
    extend(all.boxes, part.boxes);
    extend(all.scores, part.scores);
    extend(all.labels, part.labels);
  }
  return all;
}

}  // namespace dinov3_det
