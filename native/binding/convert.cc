#include "binding/convert.h"

#include <ATen/ATen.h>

#include <cmath>
#include <type_traits>

namespace dinov3_det {

namespace {

constexpr int64_t kLargestSide = 1 << 24;  // the product of two sides and 3 channels stays an int64
constexpr int64_t kLargestInteger = int64_t{1} << 53;
// Of windows, in pixels of an image: far beyond any image, and exact enough in doubles.
constexpr double kLargestOffset = 0x1p40;
constexpr double kSmallestExtent = 0x1p-20;
constexpr double kLargestFactor = 1e6;
constexpr int64_t kMostThreads = 1 << 16;
constexpr double kMostMomentum = 0.9999;  // at 1 nothing is ever forgotten
constexpr int64_t kLargestHeadWidth = 1 << 10;
constexpr double kLargestDropPath = 0.99;  // at 1 nothing is kept

[[noreturn]] void wrong(Napi::Env env, const std::string& key, const std::string& expected) {
  throw Napi::TypeError::New(env, "Expected " + expected + " for native " + key);
}

[[noreturn]] void out_of_range(Napi::Env env, const std::string& key, const std::string& expected) {
  throw Napi::RangeError::New(env, "Expected " + expected + " for native " + key);
}

double number(const Napi::Value& value, const std::string& key) {
  if (!value.IsNumber()) wrong(value.Env(), key, "number");
  return value.As<Napi::Number>().DoubleValue();
}

double number(const Napi::Object& object, const std::string& key) { return number(object.Get(key), key); }

double number(const Napi::Object& object, const std::string& key, double least, double most) {
  const double value = number(object, key);
  if (!(value >= least && value <= most)) {
    out_of_range(object.Env(), key, "number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

int64_t integer(const Napi::Value& value, const std::string& key, int64_t least, int64_t most = kLargestInteger) {
  const double given = number(value, key);
  if (std::trunc(given) != given || given < static_cast<double>(least) || given > static_cast<double>(most)) {
    out_of_range(value.Env(), key, "integer from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<int64_t>(given);
}

int64_t integer(const Napi::Object& object, const std::string& key, int64_t least, int64_t most = kLargestInteger) {
  return integer(object.Get(key), key, least, most);
}

Napi::Object object_in(const Napi::Object& object, const std::string& key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsObject()) wrong(object.Env(), key, "object");
  return value.As<Napi::Object>();
}

std::string string(const Napi::Value& value, const std::string& key) {
  if (!value.IsString()) wrong(value.Env(), key, "string");
  return value.As<Napi::String>();
}

std::string string(const Napi::Object& object, const std::string& key) { return string(object.Get(key), key); }

bool boolean(const Napi::Object& object, const std::string& key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsBoolean()) wrong(object.Env(), key, "boolean");
  return value.As<Napi::Boolean>();
}

// One of the kinds that have names.
template <class Kind, size_t N>
Kind kind(const Napi::Object& object, const std::string& key, const Names<Kind, N>& names) {
  const std::optional<Kind> found = find_kind(names, string(object, key));
  if (!found) out_of_range(object.Env(), key, "one of " + list_names(names));
  return *found;
}

// Each element of a JavaScript array through `convert(element)`.
template <class Convert>
auto elements(const Napi::Value& value, const std::string& key, Convert convert) {
  if (!value.IsArray()) wrong(value.Env(), key, "array");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<decltype(convert(std::declval<Napi::Value>()))> all;
  for (uint32_t i = 0; i < array.Length(); i++) all.push_back(convert(array.Get(i)));
  return all;
}

std::vector<double> numbers(const Napi::Value& value, const std::string& key) {
  return elements(value, key, [&](const Napi::Value& element) { return number(element, key); });
}

std::array<float, 3> three(const Napi::Object& object, const std::string& key) {
  const std::vector<double> values = numbers(object.Get(key), key);
  if (values.size() != 3) wrong(object.Env(), key, "3 numbers");
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

template <class T>
std::vector<T> typed_values(const Napi::Object& object, const std::string& key, napi_typedarray_type type) {
  const Napi::Value value = object.Get(key);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    wrong(object.Env(), key, "typed array of the right type");
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

DefaultBoxConfig default_box_config(const Napi::Object& object) {
  DefaultBoxConfig config{elements(object.Get("aspectRatios"), "aspectRatios",
                                   [](const Napi::Value& ratios) { return numbers(ratios, "aspectRatios"); }),
                          numbers(object.Get("scales"), "scales"), numbers(object.Get("steps"), "steps"),
                          boolean(object, "clip")};
  const size_t entries = config.aspect_ratios.size();
  if (entries == 0) out_of_range(object.Env(), "aspectRatios", "at least one list");
  if (config.scales.size() != entries + 1) out_of_range(object.Env(), "scales", "one more than lists of aspectRatios");
  if (!config.steps.empty() && config.steps.size() != entries) {
    out_of_range(object.Env(), "steps", "none, or as many as lists of aspectRatios");
  }
  return config;
}

AnchorConfig anchor_config(const Napi::Object& object) {
  AnchorConfig config{
      elements(object.Get("sizes"), "sizes", [](const Napi::Value& sizes) { return numbers(sizes, "sizes"); }),
      numbers(object.Get("aspectRatios"), "aspectRatios")};
  if (config.sizes.empty()) out_of_range(object.Env(), "sizes", "at least one list");
  if (config.aspect_ratios.empty()) out_of_range(object.Env(), "aspectRatios", "at least one");
  return config;
}

BoxConfig box_config(const Napi::Object& object) {
  const auto has = [&](const char* key) { return !object.Get(key).IsUndefined(); };
  if (has("strides")) return PointConfig{numbers(object.Get("strides"), "strides")};
  if (has("sizes")) return anchor_config(object);
  return default_box_config(object);
}

LossOptions loss_options(const Napi::Object& object) {
  return {kind(object, "classification", kClassLosses), kind(object, "box", kBoxLosses),
          boolean(object, "backgroundNegatives")};
}

// Those of the classes, with the background's 1 before them.
at::Tensor class_weights(const Napi::Value& value) {
  std::vector<float> weights{1};
  for (const double weight : numbers(value, "classWeights")) weights.push_back(static_cast<float>(weight));
  return at::tensor(weights);
}

// Whether an optional key has the second of its two values; the first is the default.
bool is_second(const Napi::Object& object, const std::string& key, const std::string& first,
               const std::string& second) {
  if (object.Get(key).IsUndefined()) return false;
  const std::string value = string(object, key);
  if (value != first && value != second) out_of_range(object.Env(), key, first + " or " + second);
  return value == second;
}

Photometric photometric(const Napi::Object& object) {
  const auto factor = [&](const char* key) { return number(object, key, 0, kLargestFactor); };
  Photometric choice{factor("brightness"),
                     factor("contrast"),
                     factor("saturation"),
                     number(object, "hue", -0.5, 0.5),
                     boolean(object, "contrastFirst"),
                     {}};
  const auto channels = elements(object.Get("channels"), "channels",
                                 [](const Napi::Value& value) { return integer(value, "channels", 0, 2); });
  if (channels.size() != 3) wrong(object.Env(), "channels", "3 numbers");
  for (size_t c = 0; c < 3; c++) choice.channels[c] = static_cast<uint8_t>(channels[c]);
  return choice;
}

}  // namespace

ImageSize image_size(const Napi::Object& object) {
  return {integer(object, "width", 1, kLargestSide), integer(object, "height", 1, kLargestSide)};
}

int64_t thread_count(const Napi::Value& value) { return integer(value, "threads", 1, kMostThreads); }

DetectorConfig detector_config(const Napi::Object& options) {
  DetectorConfig config;
  config.backbone = string(options, "backbone");
  const Napi::Value archive = options.Get("torchscript");
  if (archive.IsTypedArray()) {
    const auto bytes = archive.As<Napi::Uint8Array>();
    config.torchscript.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  }
  const Napi::Value allowed = options.Get("allowedNodes");
  if (!allowed.IsUndefined()) {
    const std::vector<std::string> kinds =
        elements(allowed, "allowedNodes", [](const Napi::Value& kind) { return string(kind, "allowedNodes"); });
    config.allowed_nodes.emplace(kinds.begin(), kinds.end());
  }
  config.pyramid = is_second(options, "features", "last", "pyramid");
  config.fusion = is_second(options, "fusion", "none", "fpn");
  config.num_classes = integer(options, "numClasses", 1);
  config.image_size = image_size(object_in(options, "imageSize"));
  config.mean = three(options, "mean");
  config.std = three(options, "std");
  const Napi::Object boxes = object_in(options, "defaultBoxes");
  config.default_boxes = box_config(boxes);
  if (!options.Get("headWidth").IsUndefined()) {
    config.head_width = integer(options, "headWidth", 8, kLargestHeadWidth);
  }
  if (!options.Get("endToEnd").IsUndefined()) config.end_to_end = boolean(options, "endToEnd");
  config.resize = is_second(options, "resize", "stretch", "letterbox") ? "letterbox" : "stretch";
  if (!options.Get("head").IsUndefined()) config.head = kind(options, "head", kHeads);
  if (!options.Get("scores").IsUndefined()) config.scores = kind(options, "scores", kScorings);
  if (!options.Get("seed").IsUndefined()) config.seed = static_cast<uint64_t>(integer(options, "seed", 0));
  config.device = string(options, "device");
  config.precision = string(options, "precision");
  return config;
}

TrainOptions train_options(const Napi::Object& options) {
  TrainOptions result{{string(options, "optimizer")}, boolean(options, "fineTune"), {}, std::nullopt};
  const auto given = [&](const char* key) { return !options.Get(key).IsUndefined(); };
  if (given("loss")) result.loss = loss_options(object_in(options, "loss"));
  if (given("objectBalance")) result.loss.object_balance = number(options, "objectBalance", 0, 1);
  if (given("classWeights")) result.loss.class_weights = class_weights(options.Get("classWeights"));
  if (given("sizesVary")) result.sizes_vary = boolean(options, "sizesVary");
  if (given("assigner")) result.loss.assigner = kind(options, "assigner", kAssigners);
  if (given("momentum")) result.optimizer.momentum = number(options, "momentum", 0, kMostMomentum);
  if (given("clipGradNorm")) result.clip_grad_norm = number(options, "clipGradNorm");
  if (given("parameters")) {
    elements(options.Get("parameters"), "parameters", [&](const Napi::Value& element) {
      if (!element.IsObject()) wrong(element.Env(), "parameters", "objects");
      const Napi::Object parameter = element.As<Napi::Object>();
      return result.parameters[string(parameter, "name")] = {number(parameter, "learningRateFactor", 0, kLargestFactor),
                                                             number(parameter, "weightDecay", 0, kLargestFactor)};
    });
  }
  if (given("microBatchSize")) result.micro_batch_size = integer(options, "microBatchSize", 1);
  if (given("emaDecay")) result.ema_decay = number(options, "emaDecay", 0, 1);
  if (given("lookEvery")) result.look_every = integer(options, "lookEvery", 1);
  if (given("dropPath")) result.drop_path = number(options, "dropPath", 0, kLargestDropPath);
  return result;
}

PostprocessOptions postprocess_options(const Napi::Object& options) {
  PostprocessOptions result{number(options, "scoreThreshold"), number(options, "nmsThreshold"),
                            integer(options, "topkCandidates", 0), integer(options, "maxDetections", 0)};
  if (!options.Get("nms").IsUndefined()) result.nms = kind(options, "nms", kNmsKinds);
  if (!options.Get("topkPer").IsUndefined()) result.topk_per = kind(options, "topkPer", kTopkPerKinds);
  return result;
}

std::vector<TensorSpan> tensor_spans(const Napi::Value& value) {
  return elements(value, "spans", [](const Napi::Value& element) {
    if (!element.IsObject()) wrong(element.Env(), "spans", "objects");
    const Napi::Object span = element.As<Napi::Object>();
    TensorSpan result{
        string(span, "name"), string(span, "dtype"),
        elements(span.Get("shape"), "shape", [](const Napi::Value& size) { return integer(size, "shape", 0); }),
        integer(span, "offset", 0), integer(span, "byteLength", 0)};
    if (!span.Get("row").IsUndefined()) result.row = integer(span, "row", 0);
    return result;
  });
}

std::vector<std::string> class_names(const Napi::Object& options) {
  return elements(options.Get("classes"), "classes", [](const Napi::Value& name) -> std::string {
    if (!name.IsString()) wrong(name.Env(), "classes", "strings");
    return name.As<Napi::String>();
  });
}

std::array<uint8_t, 3> fill_colour(const Napi::Object& composition) {
  const auto values = elements(composition.Get("fill"), "fill", [](const Napi::Value& value) {
    return static_cast<uint8_t>(integer(value, "fill", 0, 255));
  });
  if (values.size() != 3) wrong(composition.Env(), "fill", "3 numbers");
  return {values[0], values[1], values[2]};
}

Layer batch_layer(const Napi::Object& object, const ImageSize& size) {
  Layer layer{};
  const Napi::Object window = object_in(object, "window");
  layer.window = {number(window, "x", -kLargestOffset, kLargestOffset),
                  number(window, "y", -kLargestOffset, kLargestOffset),
                  number(window, "width", kSmallestExtent, kLargestOffset),
                  number(window, "height", kSmallestExtent, kLargestOffset)};
  const Napi::Object area = object_in(object, "area");
  const int64_t x = integer(area, "x", 0, size.width - 1), y = integer(area, "y", 0, size.height - 1);
  layer.area = {x, y, integer(area, "width", 1, size.width - x), integer(area, "height", 1, size.height - y)};
  layer.weight = static_cast<float>(number(object, "weight", 0, 1));
  if (!object.Get("photometric").IsUndefined()) layer.photometric = photometric(object_in(object, "photometric"));
  return layer;
}

Objects batch_objects(const Napi::Object& spec) {
  return {typed_values<int32_t>(spec, "counts", napi_int32_array),
          typed_values<float>(spec, "boxes", napi_float32_array),
          typed_values<int32_t>(spec, "labels", napi_int32_array)};
}

// An array with an object for each item, which `fill` gives its properties.
template <class Item, class Fill>
static Napi::Array array_of(Napi::Env env, const std::vector<Item>& items, const Fill& fill) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (size_t i = 0; i < items.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    fill(object, items[i]);
    array.Set(static_cast<uint32_t>(i), object);
  }
  return array;
}

Napi::Value to_js(Napi::Env env, const std::vector<StepResult>& results) {
  return array_of(env, results, [](Napi::Object& object, const StepResult& result) {
    object.Set("loss", result.loss);
    object.Set("boxLoss", result.bbox_regression);
    object.Set("classLoss", result.classification);
    object.Set("gradientNorm", result.gradient_norm);
    object.Set("positives", static_cast<double>(result.positives));
  });
}

Napi::Value to_js(Napi::Env env, const Detections& detections) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("counts", typed_array<Napi::Int32Array>(env, detections.counts));
  object.Set("boxes", typed_array<Napi::Float32Array>(env, detections.boxes));
  object.Set("scores", typed_array<Napi::Float32Array>(env, detections.scores));
  object.Set("labels", typed_array<Napi::Int32Array>(env, detections.labels));
  return object;
}

Napi::Value to_js(Napi::Env env, const NamedTensors& tensors) {
  return array_of(env, tensors, [env](Napi::Object& object, const NamedTensor& entry) {
    Napi::Array shape = Napi::Array::New(env, entry.tensor.dim());
    for (int64_t d = 0; d < entry.tensor.dim(); d++) {
      shape.Set(static_cast<uint32_t>(d), static_cast<double>(entry.tensor.size(d)));
    }
    object.Set("name", entry.name);
    object.Set("dtype", dtype_name(entry.tensor.scalar_type()));
    object.Set("shape", shape);
  });
}

Napi::Value to_js(Napi::Env env, const std::vector<MapShape>& maps) {
  return array_of(env, maps, [](Napi::Object& object, const MapShape& map) {
    object.Set("channels", static_cast<double>(map.channels));
    object.Set("height", static_cast<double>(map.height));
    object.Set("width", static_cast<double>(map.width));
  });
}

Napi::Value to_js(Napi::Env env, const std::vector<Lever>& levers) {
  return array_of(env, levers, [](Napi::Object& object, const Lever& lever) {
    object.Set("name", lever.name);
    object.Set("active", lever.active);
    object.Set("reason", lever.reason);
  });
}

}  // namespace dinov3_det
