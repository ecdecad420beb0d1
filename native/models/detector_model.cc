#include "models/detector_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "base/device.h"
#include "base/error.h"
#include "models/convnext.h"
#include "models/torchscript_backbone.h"

namespace dinov3_det {

namespace {

// Of a pyramid every map needs default boxes of its own; the article's spare entries are for a single map.
void check_pyramid(const std::vector<MapShape>& maps, size_t entries) {
  if (maps.size() == entries) return;
  std::string sizes;
  for (const MapShape& map : maps) {
    sizes += (sizes.empty() ? "" : ", ") + std::to_string(map.width) + "x" + std::to_string(map.height);
  }
  throw Error("WEIGHTS_MISMATCH", "The feature pyramid has " + std::to_string(maps.size()) + " maps (" + sizes +
                                      ") but the default boxes have " + std::to_string(entries) +
                                      " lists of aspect ratios or sizes; give one list per map");
}

ImageSize size_of(const at::Tensor& pixels) { return {pixels.size(2), pixels.size(1)}; }

at::Tensor per_channel(const std::array<float, 3>& values, const at::Device& device) {
  return at::tensor(at::ArrayRef<float>(values)).reshape({1, 3, 1, 1}).to(device);
}

}  // namespace

DetectorModel::DetectorModel(const DetectorConfig& config)
    : box_config_(config.default_boxes),
      resize_(config.resize),
      scoring_(config.scores),
      num_classes_(config.num_classes),
      image_size_(config.image_size),
      device_(open_device(config.device)),
      precision_(config.precision),
      compute_type_(dinov3_det::compute_type(config.precision, device_)) {
  at::Generator generator = config.seed ? at::detail::createCPUGenerator(*config.seed) : at::Generator();
  backbone_ = config.backbone == "torchscript"
                  ? load_torchscript_backbone(config.torchscript, config.allowed_nodes)
                  : std::make_unique<ConvNext>(convnext_size(config.backbone), config.pyramid, generator);
  maps_ = backbone_->map_shapes(image_size_.height, image_size_.width);
  const std::vector<int64_t> per_location = boxes_per_location(config.default_boxes);
  if (config.pyramid) {
    neck_ = config.head->make_pyramid(maps_, image_size_.height, {config.fusion, config.head_width}, generator);
    maps_ = neck_->map_shapes();
    check_pyramid(maps_, per_location.size());
  }
  head_ = config.head->make({maps_, per_location, num_classes_, scoring_, config.end_to_end}, generator);
  default_boxes_ = lay_out(config.default_boxes, maps_, image_size_, head_->box_coding());
  default_boxes_.boxes = default_boxes_.boxes.to(device_);
  mean_ = per_channel(config.mean, device_);
  std_ = per_channel(config.std, device_);
  pixel_values_ = PixelValues(mean_, std_, compute_type_);
  for (const NamedTensor& entry : state()) {
    entry.tensor.set_data(entry.tensor.to(device_));
    entry.tensor.set_requires_grad(false);
  }
  set_training(false);
}

void DetectorModel::check_image_size(const at::Tensor& pixels) const {
  TORCH_CHECK(size_of(pixels) == image_size_, "expected images of ", image_size_.width, "x", image_size_.height,
              " but the batch holds ", pixels.size(2), "x", pixels.size(1));
}

const DefaultBoxes& DetectorModel::boxes_for(const at::Tensor& pixels) const {
  const ImageSize size = size_of(pixels);
  return size == image_size_ ? default_boxes_ : other_boxes_.at(size);
}

void DetectorModel::lay_out_for(const ImageSize& size, const std::vector<at::Tensor>& maps) {
  if (size == image_size_ || other_boxes_.contains(size)) return;
  std::vector<MapShape> shapes;
  for (const at::Tensor& map : maps) shapes.push_back({map.size(1), map.size(2), map.size(3)});
  DefaultBoxes boxes = lay_out(box_config_, shapes, size, head_->box_coding());
  boxes.boxes = boxes.boxes.to(device_);
  other_boxes_.emplace(size, std::move(boxes));
}

std::vector<HeadOutput> DetectorModel::forward_branches(const at::Tensor& pixels) {
  const std::vector<at::Tensor> maps = maps_of(pixels);
  std::vector<HeadOutput> outputs{head_->forward(maps)};
  if (is_end_to_end()) outputs.push_back(head_->forward_one_to_one(maps));
  return outputs;
}

// That the head looks at.
std::vector<at::Tensor> DetectorModel::maps_of(const at::Tensor& pixels) {
  std::vector<at::Tensor> maps;
  {
    const c10::AutoGradMode grad_mode(fine_tune_backbone_ && c10::GradMode::is_enabled());
    maps = backbone_->forward(pixel_values_.of(pixels));
  }
  if (neck_) {
    for (at::Tensor& map : maps) map = map.to(compute_type_);
    maps = neck_->forward(std::move(maps));
  }
  lay_out_for(size_of(pixels), maps);
  return maps;
}

void DetectorModel::set_trainable(bool fine_tune_backbone) {
  fine_tune_backbone_ = fine_tune_backbone;
  for (const NamedTensor& entry : backbone_->parameters()) entry.tensor.set_requires_grad(fine_tune_backbone);
  if (neck_) {
    for (const NamedTensor& entry : neck_->parameters()) entry.tensor.set_requires_grad(true);
  }
  for (const NamedTensor& entry : head_->parameters()) entry.tensor.set_requires_grad(true);
}

void DetectorModel::set_training(bool on) { backbone_->train(on && fine_tune_backbone_); }

NamedTensors DetectorModel::parameters() const {
  NamedTensors named;
  append(named, "backbone.", backbone_->parameters());
  if (neck_) append(named, "neck.", neck_->parameters());
  append(named, "head.", head_->parameters());
  return named;
}

NamedTensors DetectorModel::buffers() const {
  NamedTensors named;
  append(named, "backbone.", backbone_->buffers());
  return named;
}

NamedTensors DetectorModel::state() const {
  NamedTensors named = parameters();
  append(named, "", buffers());
  return named;
}

}  // namespace dinov3_det
