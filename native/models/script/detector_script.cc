#include <ATen/core/List.h>

#include <algorithm>

#include "base/error.h"
#include "models/detector_model.h"
#include "models/script/script_builder.h"

// detector_model.cc, postprocess.cc and nms.cc in TorchScript: the same operations in the same order, so that the same
// boxes come out.
namespace dinov3_det {

namespace {

using torch::jit::Module;

constexpr const char* kForward = R"(
def forward(self, images: Tensor) -> List[Dict[str, Tensor]]:
    assert images.is_floating_point(), "Expected images of floating point, 0 to 1"
    expected = [3, self.height, self.width]
    assert images.size()[1:] == expected, "Expected images [N, 3, {}, {}] but found {}".format(self.height, self.width, images.size())
    maps = self.feature_maps((images.to(self.image_mean) - self.image_mean) / self.image_std)
    logits, codes = self.head.forward(maps)
    return self.postprocess(logits, codes)
)";

// The box coder, then corners clamped into the image.
constexpr const char* kDecode = R"(
def decode(self, codes: Tensor) -> Tensor:
    low = self.default_boxes[:, 0:2]
    size = self.default_boxes[:, 2:4] - low
    center = codes[:, :, 0:2] / self.center_weight * size + (low + 0.5 * size)
    half = 0.5 * (torch.exp(torch.clamp_max(codes[:, :, 2:4] / self.size_weight, torch.log(1000.0 / 16.0))) * size)
    boxes = torch.cat([center - half, center + half], -1)
    x = torch.clamp(boxes[:, :, 0:4:2], 0, self.width)
    y = torch.clamp(boxes[:, :, 1:4:2], 0, self.height)
    return torch.flatten(torch.stack([x, y], -1), -2)
)";

// The same of distances from points.
constexpr const char* kDecodeDistances = R"(
def decode(self, codes: Tensor) -> Tensor:
    point = self.default_boxes[:, 0:2]
    size = self.default_boxes[:, 2:4] - point
    distances = torch.exp(torch.clamp_max(codes, 10)) * torch.cat([size, size], -1)
    boxes = torch.cat([point - distances[:, :, 0:2], point + distances[:, :, 2:4]], -1)
    x = torch.clamp(boxes[:, :, 0:4:2], 0, self.width)
    y = torch.clamp(boxes[:, :, 1:4:2], 0, self.height)
    return torch.flatten(torch.stack([x, y], -1), -2)
)";

// `select` has scores [A, K] and boxes [A, 4] of one image.
constexpr const char* kPostprocess = R"(
def postprocess(self, logits: Tensor, codes: Tensor) -> List[Dict[str, Tensor]]:
    scores = self.class_scores(logits)  # [N, A, K]
    boxes = self.decode(codes)  # [N, A, 4]
    detections: List[Dict[str, Tensor]] = []
    for i in range(scores.size(0)):
        detections.append(self.select(scores[i], boxes[i]))
    return detections

def select(self, scores: Tensor, boxes: Tensor) -> Dict[str, Tensor]:
    found, values = self.candidates(scores[:, 1:].t())
    labels = found[:, 0] + 1
    boxes = boxes[found[:, 1]]
    kept = torch.nonzero(self.batched_nms(boxes, labels))[:, 0]
    kept = kept[torch.sort(values[kept], stable=True, dim=0, descending=True)[1]][:self.max_detections]
    return {"boxes": boxes[kept], "scores": values[kept], "labels": labels[kept]}

def order(self, values: Tensor, classes: Tensor) -> Tensor:
    order = torch.sort(values, stable=True, dim=0, descending=True)[1]
    return order[torch.sort(classes[order], stable=True, dim=0, descending=False)[1]]
)";

// The candidates for NMS among scores [K - 1, A]: class and default box [M, 2], and their scores [M], by class, within
// one by falling score, ties by default box.
constexpr const char* kBestOfClasses = R"(
def candidates(self, scores: Tensor) -> Tuple[Tensor, Tensor]:
    passed = scores > self.score_threshold
    found = torch.nonzero(passed)
    values = scores[passed]
    order = self.order(values, found[:, 0])
    classes = found[order, 0]
    rank = torch.arange(classes.size(0), device=classes.device) - torch.searchsorted(classes, classes)
    order = order[rank < self.topk_candidates]
    return found[order], values[order]
)";

constexpr const char* kBestOfMaps = R"(
def candidates(self, scores: Tensor) -> Tuple[Tensor, Tensor]:
    begin = 0
    found: List[Tensor] = []
    values: List[Tensor] = []
    for count in self.boxes_of_maps:
        of_map = scores[:, begin:begin + count].t()
        passed = of_map > self.score_threshold
        passing = of_map[passed]
        order = torch.sort(passing, stable=True, dim=0, descending=True)[1][:self.topk_candidates]
        places = torch.nonzero(passed)[order]  # default box of the map, class
        found.append(torch.stack([places[:, 1], places[:, 0] + begin], 1))
        values.append(passing[order])
        begin += count
    all_values = torch.cat(values)
    all_found = torch.cat(found)
    order = self.order(all_values, all_found[:, 0])
    return all_found[order], all_values[order]
)";

constexpr const char* kSoftmax = R"(
def class_scores(self, logits: Tensor) -> Tensor:
    return torch.softmax(logits, -1)
)";

constexpr const char* kSigmoid = R"(
def class_scores(self, logits: Tensor) -> Tensor:
    return torch.sigmoid(logits)
)";

constexpr const char* kNms = R"(
def batched_nms(self, boxes: Tensor, labels: Tensor) -> Tensor:
    if boxes.size(0) > 0 and boxes.size(0) <= 1000:
        boxes = boxes + (labels.to(boxes) * (boxes.max() + 1)).unsqueeze(1)
    counts: List[int] = torch.bincount(labels).tolist()
    kept = [torch.ones([0], dtype=11, device=boxes.device)]
    begin = 0
    for count in counts:
        if count > 0:
            kept.append(self.nms(boxes[begin:begin + count]))
        begin += count
    return torch.cat(kept)

def nms(self, boxes: Tensor) -> Tensor:
    first = boxes.unsqueeze(1)
    size = torch.clamp_min(torch.minimum(first[:, :, 2:4], boxes[:, 2:4]) - torch.maximum(first[:, :, 0:2], boxes[:, 0:2]), 0)
    intersection = size[:, :, 0] * size[:, :, 1]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    iou = intersection / (area.unsqueeze(1) + area - intersection)
    suppresses = torch.triu(iou.to(7) > self.nms_threshold, 1)  # [i, j]: the better box i the box j
    kept = torch.ones([boxes.size(0)], dtype=11, device=boxes.device)
    settled = False
    while not settled:
        before = kept
        kept = torch.logical_not(torch.any(torch.logical_and(suppresses, before.unsqueeze(1)), 0))
        settled = torch.equal(kept, before)
    return kept
)";

constexpr const char* kNoNms = R"(
def batched_nms(self, boxes: Tensor, labels: Tensor) -> Tensor:
    return torch.ones([labels.size(0)], dtype=11, device=labels.device)
)";

// Takes what the backbone returns for a list of maps, of the type that the head has, through the neck if there is one.
std::string feature_maps(const Module& backbone, bool neck) {
  const c10::TypePtr type = backbone.get_method("forward").function().getSchema().returns().at(0).type();
  const auto is_tensor = [](const c10::TypePtr& each) { return each->isSubtypeOf(*c10::TensorType::get()); };
  std::string maps;
  if (is_tensor(type)) {
    maps = "[output]";
  } else if (type->isSubtypeOf(*c10::ListType::ofTensors())) {
    maps = "output";
  } else if (const auto tuple = type->cast<c10::TupleType>();
             tuple && std::all_of(tuple->elements().begin(), tuple->elements().end(), is_tensor)) {
    for (size_t i = 0; i < tuple->elements().size(); i++) maps += "output[" + std::to_string(i) + "], ";
    maps = "[" + maps + "]";
  } else {
    throw Error("WEIGHTS_MISMATCH",
                "The TorchScript backbone cannot be a part of an exported detector: its forward is of type " +
                    type->annotation_str() +
                    ", expected Tensor, List[Tensor] or a Tuple of Tensors; write it again so "
                    "annotated, or export safetensors");
  }
  return "\ndef feature_maps(self, images: Tensor) -> List[Tensor]:\n"
         "    output = self.backbone.forward(images)\n"
         "    maps = [each.to(self.image_mean) for each in " +
         maps + "]\n    return " + (neck ? "self.neck.forward(maps)" : "maps") + "\n";
}

}  // namespace

Module DetectorModel::script(const std::vector<std::string>& classes, const PostprocessOptions& options) const {
  const bool one_to_one = options.nms == Nms::kNone;
  TORCH_CHECK(options.nms == Nms::kPlain || one_to_one, "the TorchScript detector has plain NMS alone");
  ScriptBuilder builder;
  const Module backbone = backbone_->script(builder);
  const Module head =
      one_to_one ? head_->script_one_to_one(builder, maps_.size()) : head_->script(builder, maps_.size());
  c10::List<int64_t> boxes_of_maps;
  for (const auto [cells, boxes_per_cell] : default_boxes_.grids) boxes_of_maps.push_back(cells * boxes_per_cell);
  std::vector<ScriptMember> members{{"backbone", backbone._ivalue()},
                                    {"head", head._ivalue()},
                                    {"default_boxes", default_boxes_.boxes, true},
                                    {"center_weight", default_boxes_.coding.center},
                                    {"size_weight", default_boxes_.coding.size},
                                    {"boxes_of_maps", boxes_of_maps},
                                    {"image_mean", mean_, true},
                                    {"image_std", std_, true},
                                    {"width", image_size_.width},
                                    {"height", image_size_.height},
                                    {"resize", resize_},
                                    {"classes", c10::List<std::string>(at::ArrayRef<std::string>(classes))},
                                    {"score_threshold", options.score_threshold},
                                    {"nms_threshold", options.nms_threshold},
                                    {"topk_candidates", options.topk_candidates},
                                    {"max_detections", options.max_detections}};
  if (neck_) members.push_back({"neck", neck_->script(builder)._ivalue()});
  return builder.make(kDetectorClass, members,
                      kForward + feature_maps(backbone, neck_ != nullptr) +
                          (default_boxes_.coding.kind == BoxCoding::Kind::kDistances ? kDecodeDistances : kDecode) +
                          kPostprocess + (options.topk_per == TopkPer::kMap ? kBestOfMaps : kBestOfClasses) +
                          (scoring() == Scoring::kSigmoid ? kSigmoid : kSoftmax) + (one_to_one ? kNoNms : kNms));
}

Module DetectorModel::script_backbone() const {
  ScriptBuilder builder;
  return backbone_->script(builder);
}

}  // namespace dinov3_det
