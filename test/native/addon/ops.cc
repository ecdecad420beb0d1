#include <string>
#include <utility>
#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "ops/anchors.h"
#include "ops/box_coder.h"
#include "ops/boxes.h"
#include "ops/default_boxes.h"
#include "ops/diou_nms.h"
#include "ops/nms.h"
#include "ops/postprocess.h"
#include "ops/weighted_nms.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

std::vector<std::pair<int64_t, int64_t>> grid_sizes(const Napi::Value& value) {
  return list(value, [](const Napi::Value& grid) {
    const ImageSize cells = image_size(grid);
    return std::make_pair(cells.height, cells.width);
  });
}

Napi::Value anchors_js(const CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  const AnchorConfig config{list(options.Get("sizes"), numbers<double>), numbers<double>(options.Get("aspectRatios"))};
  const ImageSize image = image_size(info[2]);
  return from_tensor(info.Env(), anchors(config, grid_sizes(info[1]), image.width, image.height));
}

Napi::Value default_boxes_js(const CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  const DefaultBoxConfig config{list(options.Get("aspectRatios"), numbers<double>),
                                numbers<double>(options.Get("scales")), numbers<double>(options.Get("steps")),
                                options.Get("clip").ToBoolean()};
  const ImageSize image = image_size(info[2]);
  return from_tensor(info.Env(), default_boxes(config, grid_sizes(info[1]), image.width, image.height));
}

Napi::Value box_iou_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), box_iou(to_tensor(info[0]), to_tensor(info[1])));
}

Napi::Value clip_boxes_js(const CallbackInfo& info) {
  const ImageSize size = image_size(info[1]);
  return from_tensor(info.Env(), clip_boxes(to_tensor(info[0]), size.width, size.height));
}

Napi::Value encode_boxes_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), encode_boxes(to_tensor(info[0]), to_tensor(info[1]), box_coding(info[2])));
}

Napi::Value decode_boxes_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), decode_boxes(to_tensor(info[0]), to_tensor(info[1]), box_coding(info[2])));
}

Napi::Value last_milliseconds_js(const CallbackInfo& info) { return from_number(info.Env(), last_milliseconds); }

NmsCandidates nms_candidates(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  return {numbers<float>(object.Get("boxes")), numbers<float>(object.Get("scores")),
          numbers<int32_t>(object.Get("labels"))};
}

Napi::Value batched_nms_js(const CallbackInfo& info) {
  const NmsCandidates candidates = nms_candidates(info[0]);
  const double iou_threshold = number(info[1]);
  return to_list(info.Env(), timed([&] { return batched_nms(candidates, iou_threshold); }), from_number);
}

Napi::Value diou_nms_js(const CallbackInfo& info) {
  return to_list(info.Env(), batched_nms(nms_candidates(info[0]), number(info[1]), suppress_by_diou), from_number);
}

Napi::Value weight_boxes_js(const CallbackInfo& info) {
  NmsCandidates candidates = nms_candidates(info[0]);
  weight_boxes(candidates, numbers<int64_t>(info[1]), number(info[2]));
  return to_list(info.Env(), candidates.boxes, from_number);
}

// `area` where it does not fill the input.
ImageFrame image_frame(const Napi::Value& value) {
  const Napi::Value area = value.As<Napi::Object>().Get("area");
  return {image_size(value), area.IsUndefined() ? std::nullopt : std::optional(image_size(area))};
}

Napi::Value postprocess_js(const CallbackInfo& info) {
  const Napi::Object options = info[5].As<Napi::Object>();
  const HeadOutput output{to_tensor(info[0]), to_tensor(info[1])};
  const DefaultBoxes default_boxes = default_boxes_of(info[2], options);
  const ImageSize input = image_size(info[3]);
  const std::vector<ImageFrame> frames = list(info[4], image_frame);
  const PostprocessOptions limits{number(options.Get("scoreThreshold")),  number(options.Get("nmsThreshold")),
                                  integer(options.Get("topkCandidates")), integer(options.Get("maxDetections")),
                                  kind(options.Get("nms"), kNmsKinds),    kind(options.Get("topkPer"), kTopkPerKinds)};
  const Scoring scoring = info[6].ToBoolean() ? Scoring::kSigmoid : Scoring::kSoftmax;
  const bool compact = info[7].ToBoolean();
  const Detections found =
      timed([&] { return postprocess(output, default_boxes, input, frames, limits, scoring, compact); });
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("counts", to_list(info.Env(), found.counts, from_number));
  object.Set("boxes", to_list(info.Env(), found.boxes, from_number));
  object.Set("scores", to_list(info.Env(), found.scores, from_number));
  object.Set("labels", to_list(info.Env(), found.labels, from_number));
  return object;
}

}  // namespace

void add_ops(Exports& exports) {
  exports.add<anchors_js>("anchors");
  exports.add<default_boxes_js>("defaultBoxes");
  exports.add<box_iou_js>("boxIou");
  exports.add<clip_boxes_js>("clipBoxes");
  exports.add<encode_boxes_js>("encodeBoxes");
  exports.add<decode_boxes_js>("decodeBoxes");
  exports.add<last_milliseconds_js>("lastMilliseconds");
  exports.add<batched_nms_js>("batchedNms");
  exports.add<diou_nms_js>("diouNms");
  exports.add<weight_boxes_js>("weightBoxes");
  exports.add<postprocess_js>("postprocess");
}

}  // namespace dinov3_det::test
