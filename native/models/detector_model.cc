#include "models/detector_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "error.h"
#include "models/convnext.h"
#include "models/device.h"
#include "models/precision.h"
#include "models/torchscript_backbone.h"

namespace dinov3_det {

namespace {

// RetinaNet (Lin et al. 2017, section 4.1): the score that every default box starts with when each is trained on.
const std::optional<double> kPriorProbability = 0.01;

// One entry per list of aspect ratios; entries beyond the maps repeat the last map's channels, as the article builds
// its head.
std::vector<int64_t> head_channels(const std::vector<MapShape>& maps, size_t entries) {
  if (maps.size() > entries) {
    throw Error("WEIGHTS_MISMATCH", "The backbone returns " + std::to_string(maps.size()) +
                                        " feature maps but the SSD head has " + std::to_string(entries) +
                                        " entries; give one list of aspect ratios per map");
  }
  std::vector<int64_t> channels;
  for (size_t k = 0; k < entries; k++) channels.push_back(maps[std::min(k, maps.size() - 1)].channels);
  return channels;
}

// Of a pyramid every map needs default boxes of its own; the article's spare entries are for a single map.
void check_pyramid(const std::vector<MapShape>& maps, size_t entries) {
  if (maps.size() == entries) return;
  std::string sizes;
  for (const MapShape& map : maps) {
    sizes += (sizes.empty() ? "" : ", ") + std::to_string(map.width) + "x" + std::to_string(map.height);
  }
  throw Error("WEIGHTS_MISMATCH", "The feature pyramid has " + std::to_string(maps.size()) + " maps (" + sizes +
                                      ") but the default boxes have " + std::to_string(entries) +
                                      " lists of aspect ratios; give one list per map");
}

at::Tensor per_channel(const std::array<float, 3>& values, const at::Device& device) {
  return at::tensor(at::ArrayRef<float>(values)).reshape({1, 3, 1, 1}).to(device);
}

}  // namespace

DetectorModel::DetectorModel(const DetectorConfig& config)
    : loss_(config.loss),
      image_size_(config.image_size),
      device_(open_device(config.device)),
      compute_type_(dinov3_det::compute_type(config.precision, device_)) {
  if (config.threads) at::set_num_threads(static_cast<int>(*config.threads));
  at::Generator generator = config.seed ? at::detail::createCPUGenerator(*config.seed) : at::Generator();
  backbone_ = config.backbone == "torchscript"
                  ? load_torchscript_backbone(config.torchscript, config.allowed_nodes)
                  : std::make_unique<ConvNext>(convnext_size(config.backbone), config.pyramid, generator);
  maps_ = backbone_->map_shapes(image_size_.height, image_size_.width);
  if (config.pyramid) {
    neck_ = std::make_unique<FeaturePyramid>(maps_, image_size_.height, config.fusion, generator);
    maps_ = neck_->map_shapes();
    check_pyramid(maps_, config.default_boxes.aspect_ratios.size());
  }
  const std::vector<int64_t> per_location = default_boxes_per_location(config.default_boxes);
  head_ = std::make_unique<SsdHead>(head_channels(maps_, per_location.size()), per_location, config.num_classes,
                                    generator, scoring() == Scoring::kSigmoid ? kPriorProbability : std::nullopt);

  std::vector<std::pair<int64_t, int64_t>> grid_sizes;
  for (size_t k = 0; k < maps_.size(); k++) {
    grid_sizes.emplace_back(maps_[k].height, maps_[k].width);
    box_grids_.push_back({maps_[k].height * maps_[k].width, per_location[k]});
  }
  default_boxes_ =
      dinov3_det::default_boxes(config.default_boxes, grid_sizes, image_size_.width, image_size_.height).to(device_);
  mean_ = per_channel(config.mean, device_);
  std_ = per_channel(config.std, device_);
  for (const NamedTensor& entry : state()) {
    entry.tensor.set_data(entry.tensor.to(device_));
    entry.tensor.set_requires_grad(false);
  }
  set_training(false);
}

at::Tensor DetectorModel::normalise(const at::Tensor& pixels) const {
  const at::Tensor images = pixels.to(device_).permute({0, 3, 1, 2}).to(at::kFloat);  // [N, 3, H, W], channels_last
  return (images / 255).sub_(mean_).div_(std_).to(compute_type_);
}

HeadOutput DetectorModel::forward(const at::Tensor& pixels) {
  TORCH_CHECK(pixels.size(1) == image_size_.height && pixels.size(2) == image_size_.width, "expected pictures of ",
              image_size_.width, "x", image_size_.height, " but the batch holds ", pixels.size(2), "x", pixels.size(1));
  std::vector<at::Tensor> maps;
  {
    const c10::AutoGradMode grad_mode(fine_tune_backbone_ && c10::GradMode::is_enabled());
    maps = backbone_->forward(normalise(pixels));
  }
  if (neck_) {
    for (at::Tensor& map : maps) map = map.to(compute_type_);
    maps = neck_->forward(std::move(maps));
  }
  for (at::Tensor& map : maps) map = map.to(at::kFloat);
  return head_->forward(maps);
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

Scoring DetectorModel::scoring() const {
  return loss_.classification == ClassLoss::kFocal ? Scoring::kSigmoid : Scoring::kSoftmax;
}

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
