#include "models/detector_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/device.h"
#include "base/error.h"
#include "models/convnext.h"
#include "models/retinanet_head.h"
#include "models/ssd_head.h"
#include "models/torchscript_backbone.h"

namespace dinov3_det {

namespace {

// RetinaNet (Lin et al. 2017, section 4.1): the score that every default box starts with when each is trained on.
const std::optional<double> kPriorProbability = 0.01;

using BoxConfig = std::variant<DefaultBoxConfig, AnchorConfig>;
using GridSizes = std::vector<std::pair<int64_t, int64_t>>;

struct BoxesPerLocation {
  std::vector<int64_t> operator()(const DefaultBoxConfig& config) const { return default_boxes_per_location(config); }
  std::vector<int64_t> operator()(const AnchorConfig& config) const { return anchors_per_location(config); }
};

struct LayOut {
  const GridSizes& grids;
  const ImageSize& image;

  at::Tensor operator()(const DefaultBoxConfig& config) const {
    return default_boxes(config, grids, image.width, image.height);
  }
  at::Tensor operator()(const AnchorConfig& config) const { return anchors(config, grids, image.width, image.height); }
};

// per_location: one number for each list of the configuration, of which there may be more than maps.
DefaultBoxes lay_out(const BoxConfig& config, const std::vector<MapShape>& maps,
                     const std::vector<int64_t>& per_location, const ImageSize& image, const BoxWeights& weights) {
  GridSizes sizes;
  std::vector<BoxGrid> grids;
  for (size_t k = 0; k < maps.size(); k++) {
    sizes.emplace_back(maps[k].height, maps[k].width);
    grids.push_back({maps[k].height * maps[k].width, per_location[k]});
  }
  return {std::visit(LayOut{sizes, image}, config), grids, weights};
}

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

std::unique_ptr<DetectionHead> make_head(HeadKind kind, const std::vector<MapShape>& maps,
                                         const std::vector<int64_t>& per_location, int64_t num_classes, Scoring scoring,
                                         at::Generator& generator) {
  if (kind == HeadKind::kSsd) {
    return std::make_unique<SsdHead>(head_channels(maps, per_location.size()), per_location, num_classes, generator,
                                     scoring == Scoring::kSigmoid ? kPriorProbability : std::nullopt);
  }
  TORCH_CHECK(maps.size() <= per_location.size(), "a RetinaNet head needs default boxes for each of ", maps.size(),
              " maps");
  TORCH_CHECK(std::ranges::all_of(maps, [&](const MapShape& map) { return map.channels == maps[0].channels; }) &&
                  std::ranges::all_of(per_location, [&](int64_t count) { return count == per_location[0]; }),
              "a RetinaNet head looks at fused maps, with as many default boxes in each cell");
  return std::make_unique<RetinaNetHead>(maps[0].channels, per_location[0], num_classes, generator);
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
                                      " lists of aspect ratios or sizes; give one list per map");
}

at::Tensor per_channel(const std::array<float, 3>& values, const at::Device& device) {
  return at::tensor(at::ArrayRef<float>(values)).reshape({1, 3, 1, 1}).to(device);
}

}  // namespace

DetectorModel::DetectorModel(const DetectorConfig& config)
    : loss_(config.loss),
      num_classes_(config.num_classes),
      image_size_(config.image_size),
      device_(open_device(config.device)),
      precision_(config.precision),
      compute_type_(dinov3_det::compute_type(config.precision, device_)) {
  if (config.threads) at::set_num_threads(static_cast<int>(*config.threads));
  at::Generator generator = config.seed ? at::detail::createCPUGenerator(*config.seed) : at::Generator();
  backbone_ = config.backbone == "torchscript"
                  ? load_torchscript_backbone(config.torchscript, config.allowed_nodes)
                  : std::make_unique<ConvNext>(convnext_size(config.backbone), config.pyramid, generator);
  maps_ = backbone_->map_shapes(image_size_.height, image_size_.width);
  const std::vector<int64_t> per_location = std::visit(BoxesPerLocation{}, config.default_boxes);
  if (config.pyramid) {
    const auto kind =
        config.head == HeadKind::kRetinaNet ? FeaturePyramid::Kind::kRetinaNet : FeaturePyramid::Kind::kSsd;
    neck_ = std::make_unique<FeaturePyramid>(maps_, image_size_.height, config.fusion, generator, kind);
    maps_ = neck_->map_shapes();
    check_pyramid(maps_, per_location.size());
  }
  head_ = make_head(config.head, maps_, per_location, config.num_classes, scoring(), generator);
  default_boxes_ = lay_out(config.default_boxes, maps_, per_location, image_size_, head_->box_weights());
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

HeadOutput DetectorModel::forward(const at::Tensor& pixels) {
  TORCH_CHECK(pixels.size(1) == image_size_.height && pixels.size(2) == image_size_.width, "expected pictures of ",
              image_size_.width, "x", image_size_.height, " but the batch holds ", pixels.size(2), "x", pixels.size(1));
  std::vector<at::Tensor> maps;
  {
    const c10::AutoGradMode grad_mode(fine_tune_backbone_ && c10::GradMode::is_enabled());
    maps = backbone_->forward(pixel_values_.of(pixels));
  }
  if (neck_) {
    for (at::Tensor& map : maps) map = map.to(compute_type_);
    maps = neck_->forward(std::move(maps));
  }
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
