// The core's operations on plain JavaScript values, for the tests alone. A tensor is {data: typed array, shape:
// number[]}; test/native/support.ts types what is exported here.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <napi.h>
#include <torch/csrc/jit/serialization/import.h>

#if __has_include(<oneapi/dnnl/dnnl_common.hpp>)
#include <oneapi/dnnl/dnnl_common.hpp>
#endif

#include <chrono>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/batch.h"
#include "data/pixel_values.h"
#include "data/resize.h"
#include "io/tensor_file.h"
#include "kernels/depthwise_conv.h"
#include "kernels/residual_mlp.h"
#include "memory/caching_allocator.h"
#include "memory/out_of_memory.h"
#include "models/convnext.h"
#include "models/drop_path.h"
#include "models/feature_pyramid.h"
#include "models/layers.h"
#include "models/precision.h"
#include "models/retinanet_head.h"
#include "models/ssd_head.h"
#include "models/weight_cache.h"
#include "ops/anchors.h"
#include "ops/box_coder.h"
#include "ops/boxes.h"
#include "ops/default_boxes.h"
#include "ops/diou_nms.h"
#include "ops/nms.h"
#include "ops/postprocess.h"
#include "ops/weighted_nms.h"
#include "train/atss.h"
#include "train/box_iou_loss.h"
#include "train/ema.h"
#include "train/focal_loss.h"
#include "train/hard_negatives.h"
#include "train/matcher.h"
#include "train/multibox_loss.h"
#include "train/optimizer.h"
#include "training_probe.h"

namespace dinov3_det {

namespace {

using Napi::CallbackInfo;

// Float32Array is float32, Int32Array int64 (the core's type for labels, counts and indices), Uint8Array uint8.
at::Tensor to_tensor(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Array sizes = object.Get("shape").As<Napi::Array>();
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < sizes.Length(); i++) shape.push_back(sizes.Get(i).ToNumber().Int64Value());
  const auto data = object.Get("data").As<Napi::TypedArray>();
  const auto copy = [&](at::ScalarType dtype) {
    void* bytes = static_cast<char*>(data.ArrayBuffer().Data()) + data.ByteOffset();
    return at::from_blob(bytes, shape, at::TensorOptions(dtype)).clone();
  };
  switch (data.TypedArrayType()) {
    case napi_float32_array:
      return copy(at::kFloat);
    case napi_int32_array:
      return copy(at::kInt).to(at::kLong);
    case napi_uint8_array:
      return copy(at::kByte);
    default:
      throw Napi::TypeError::New(value.Env(), "Expected Float32Array, Int32Array or Uint8Array for data");
  }
}

Napi::Value from_tensor(Napi::Env env, const at::Tensor& tensor) {
  const auto filled = [&](auto array, at::ScalarType dtype) {
    const at::Tensor values = tensor.detach().to(at::kCPU, dtype).contiguous();
    std::memcpy(array.Data(), values.const_data_ptr(), values.nbytes());
    return array;
  };
  const size_t count = tensor.numel();
  Napi::Object object = Napi::Object::New(env);
  if (tensor.is_floating_point()) {
    object.Set("data", filled(Napi::Float32Array::New(env, count), at::kFloat));
  } else if (tensor.scalar_type() == at::kByte) {
    object.Set("data", filled(Napi::Uint8Array::New(env, count), at::kByte));
  } else {
    object.Set("data", filled(Napi::Int32Array::New(env, count), at::kInt));
  }
  Napi::Array shape = Napi::Array::New(env, tensor.dim());
  for (int64_t d = 0; d < tensor.dim(); d++) shape.Set(static_cast<uint32_t>(d), static_cast<double>(tensor.size(d)));
  object.Set("shape", shape);
  return object;
}

// Of an array or a typed array.
template <class Convert>
auto list(const Napi::Value& value, Convert convert) {
  const Napi::Object array = value.As<Napi::Object>();
  const uint32_t length = array.Get("length").ToNumber();
  std::vector<decltype(convert(std::declval<Napi::Value>()))> all;
  for (uint32_t i = 0; i < length; i++) all.push_back(convert(array.Get(i)));
  return all;
}

template <class T>
std::vector<T> numbers(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) { return static_cast<T>(each.ToNumber().DoubleValue()); });
}

template <class T, class Convert>
Napi::Value to_list(Napi::Env env, const std::vector<T>& values, Convert convert) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); i++) array.Set(static_cast<uint32_t>(i), convert(env, values[i]));
  return array;
}

Napi::Value from_number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

double number(const Napi::Value& value) { return value.ToNumber().DoubleValue(); }

int64_t integer(const Napi::Value& value) { return value.ToNumber().Int64Value(); }

// One of the kinds that have names; the first when none is given.
template <class Kind, size_t N>
Kind kind(const Napi::Value& name, const Names<Kind, N>& names) {
  return name.IsUndefined() ? names[0].second : find_kind(names, name.ToString().Utf8Value()).value();
}

ImageSize image_size(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  return {integer(object.Get("width")), integer(object.Get("height"))};
}

NamedTensors named_tensors(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) {
    const Napi::Object object = each.As<Napi::Object>();
    return NamedTensor{object.Get("name").ToString(), to_tensor(object.Get("tensor"))};
  });
}

Napi::Value from_named(Napi::Env env, const NamedTensors& tensors) {
  return to_list(env, tensors, [](Napi::Env env, const NamedTensor& entry) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", entry.name);
    object.Set("tensor", from_tensor(env, entry.tensor));
    return object;
  });
}

// Gives a model's parameters the values of the tensors of the same name.
void load(const NamedTensors& parameters, const NamedTensors& values) {
  TORCH_CHECK(parameters.size() == values.size(), "expected ", parameters.size(), " tensors");
  for (size_t i = 0; i < parameters.size(); i++) {
    TORCH_CHECK(parameters[i].name == values[i].name, "expected the tensor ", parameters[i].name);
    parameters[i].tensor.copy_(values[i].tensor);
  }
}

Objects objects(const Napi::Object& object) {
  return {numbers<int32_t>(object.Get("counts")), numbers<float>(object.Get("boxes")),
          numbers<int32_t>(object.Get("labels"))};
}

Targets targets(const Napi::Object& object) {
  return {to_tensor(object.Get("boxes")), to_tensor(object.Get("labels")), to_tensor(object.Get("counts"))};
}

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

// [center, size], SSD's when none are given.
BoxWeights box_weights(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  const std::vector<double> weights = numbers<double>(value);
  return {weights[0], weights[1]};
}

Napi::Value encode_boxes_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), encode_boxes(to_tensor(info[0]), to_tensor(info[1]), box_weights(info[2])));
}

Napi::Value decode_boxes_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), decode_boxes(to_tensor(info[0]), to_tensor(info[1]), box_weights(info[2])));
}

// What the last operation took that the benchmarks time: without the conversion of its arguments.
double last_milliseconds = 0;

template <class Action>
auto timed(Action action) {
  const auto began = std::chrono::steady_clock::now();
  auto result = action();
  last_milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  return result;
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

std::vector<BoxGrid> box_grids(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) {
    const Napi::Object grid = each.As<Napi::Object>();
    return BoxGrid{integer(grid.Get("cells")), integer(grid.Get("boxesPerCell"))};
  });
}

// boxes, with their grids and box weights if `object` has them.
DefaultBoxes default_boxes_of(const Napi::Value& boxes, const Napi::Object& object) {
  const Napi::Value grids = object.Get("grids");
  return {to_tensor(boxes), grids.IsUndefined() ? std::vector<BoxGrid>{} : box_grids(grids),
          box_weights(object.Get("boxWeights"))};
}

Napi::Value postprocess_js(const CallbackInfo& info) {
  const Napi::Object options = info[5].As<Napi::Object>();
  const HeadOutput output{to_tensor(info[0]), to_tensor(info[1])};
  const DefaultBoxes default_boxes = default_boxes_of(info[2], options);
  const ImageSize input = image_size(info[3]);
  const std::vector<ImageSize> originals = list(info[4], image_size);
  const PostprocessOptions limits{number(options.Get("scoreThreshold")),  number(options.Get("nmsThreshold")),
                                  integer(options.Get("topkCandidates")), integer(options.Get("maxDetections")),
                                  kind(options.Get("nms"), kNmsKinds),    kind(options.Get("topkPer"), kTopkPerKinds)};
  const Scoring scoring = info[6].ToBoolean() ? Scoring::kSigmoid : Scoring::kSoftmax;
  const bool compact = info[7].ToBoolean();
  const Detections found =
      timed([&] { return postprocess(output, default_boxes, input, originals, limits, scoring, compact); });
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("counts", to_list(info.Env(), found.counts, from_number));
  object.Set("boxes", to_list(info.Env(), found.boxes, from_number));
  object.Set("scores", to_list(info.Env(), found.scores, from_number));
  object.Set("labels", to_list(info.Env(), found.labels, from_number));
  return object;
}

Napi::Value ssd_match_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), ssd_match(to_tensor(info[0]), to_tensor(info[1])));
}

Napi::Value retinanet_match_js(const CallbackInfo& info) {
  return from_tensor(info.Env(), retinanet_match(to_tensor(info[0]), to_tensor(info[1])));
}

Napi::Value atss_match_js(const CallbackInfo& info) {
  return from_tensor(info.Env(),
                     atss_match(to_tensor(info[0]), to_tensor(info[1]), to_tensor(info[2]), box_grids(info[3])));
}

Napi::Value hard_negatives_js(const CallbackInfo& info) {
  const at::Tensor mask = hard_negatives(to_tensor(info[0]), to_tensor(info[1]) > 0, info[2].ToBoolean());
  return from_tensor(info.Env(), mask.to(at::kLong));
}

// The values of a loss of a prediction and its target, and the gradient of their sum.
template <class Loss>
Napi::Value loss_with_gradient(Napi::Env env, Loss loss, const at::Tensor& prediction, const at::Tensor& target) {
  prediction.set_requires_grad(true);
  const at::Tensor values = loss(prediction, target);
  values.sum().backward();
  Napi::Object object = Napi::Object::New(env);
  object.Set("values", from_tensor(env, values));
  object.Set("gradient", from_tensor(env, prediction.grad()));
  return object;
}

Napi::Value sigmoid_focal_loss_js(const CallbackInfo& info) {
  return loss_with_gradient(info.Env(), sigmoid_focal_loss, to_tensor(info[0]), to_tensor(info[1]));
}

Napi::Value box_iou_loss_js(const CallbackInfo& info) {
  const std::string name = info[0].ToString();
  const auto loss = name == "giou" ? giou_loss : name == "diou" ? diou_loss : ciou_loss;
  return loss_with_gradient(info.Env(), loss, to_tensor(info[1]), to_tensor(info[2]));
}

Napi::Value multibox_loss_js(const CallbackInfo& info) {
  const HeadOutput output{to_tensor(info[0]).requires_grad_(true), to_tensor(info[1]).requires_grad_(true)};
  const Napi::Object given = info[4].IsObject() ? info[4].As<Napi::Object>() : Napi::Object::New(info.Env());
  const LossOptions options{kind(given.Get("classification"), kClassLosses), kind(given.Get("box"), kBoxLosses),
                            given.Get("backgroundNegatives").ToBoolean(), kind(given.Get("assigner"), kAssigners)};
  const Targets ground_truth = targets(info[2].As<Napi::Object>());
  const DefaultBoxes default_boxes = default_boxes_of(info[3], given);
  const MultiboxLoss loss = timed([&] {
    const MultiboxLoss computed = multibox_loss(output, ground_truth, default_boxes, options);
    (computed.bbox_regression + computed.classification).backward();
    return computed;
  });
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("boxLoss", loss.bbox_regression.item<double>());
  object.Set("classLoss", loss.classification.item<double>());
  object.Set("positives", loss.positives.item<double>());
  object.Set("logitsGradient", from_tensor(info.Env(), output.cls_logits.grad()));
  object.Set("regressionGradient", from_tensor(info.Env(), output.bbox_regression.grad()));
  return object;
}

Napi::Value optimizer_steps_js(const CallbackInfo& info) {
  const NamedTensors parameters = named_tensors(info[1]);
  for (const NamedTensor& parameter : parameters) parameter.tensor.set_requires_grad(true);
  std::vector<ParameterOptions> options;
  if (!info[4].IsUndefined()) {
    options = list(info[4], [](const Napi::Value& each) {
      const Napi::Object object = each.As<Napi::Object>();
      return ParameterOptions{number(object.Get("learningRateFactor")), number(object.Get("weightDecay"))};
    });
  }
  const auto optimizer = make_optimizer(info[0].ToString(), parameters, options);
  const auto gradients = list(info[2], [](const Napi::Value& step) {
    return list(step,
                [](const Napi::Value& gradient) { return gradient.IsNull() ? at::Tensor() : to_tensor(gradient); });
  });
  const std::vector<double> learning_rates = numbers<double>(info[3]);
  for (size_t step = 0; step < gradients.size(); step++) {
    for (size_t i = 0; i < parameters.size(); i++) parameters[i].tensor.mutable_grad() = gradients[step][i];
    optimizer->step(learning_rates[step], at::zeros({}));
  }
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("parameters", from_named(info.Env(), optimizer->parameters()));
  object.Set("state", from_named(info.Env(), optimizer->state()));
  return object;
}

// The average of a tensor after each of the values that training gives it, and what is left in the model at the end.
Napi::Value moving_average_js(const CallbackInfo& info) {
  const at::Tensor weight = to_tensor(info[0]).set_requires_grad(true);
  Ema ema({{"w", weight}}, number(info[2]));
  const auto averages = list(info[1], [&](const Napi::Value& value) {
    {
      const TrainedWeights trained(&ema);
      const c10::NoGradGuard no_grad;
      weight.copy_(to_tensor(value));
      ema.prepare(0);
      ema.update(at::zeros({}));
      ema.count(1);
    }
    return weight.detach().clone();
  });
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("averages", to_list(info.Env(), averages, from_tensor));
  object.Set("state", from_named(info.Env(), ema.state()));
  return object;
}

Napi::Value resize_bilinear_js(const CallbackInfo& info) {
  const ImageSize from = image_size(info[1]), to = image_size(info[2]);
  auto picture = Napi::Uint8Array::New(info.Env(), to.width * to.height * 3);
  resize_bilinear(info[0].As<Napi::Uint8Array>().Data(), whole_axis(from.width, to.width),
                  whole_axis(from.height, to.height), info[3].ToBoolean(), picture.Data(), to.width * 3);
  return picture;
}

Napi::Value make_batch_js(const CallbackInfo& info) {
  const ImageSize size = image_size(info[0]);
  const auto pictures = list(info[1], [&](const Napi::Value& value) {
    const Napi::Object image = value.As<Napi::Object>();
    const auto data = image.Get("data").As<Napi::Uint8Array>();
    return whole_picture({data.Data(), image_size(image), image.Get("flip").ToBoolean()}, size);
  });
  const Batch batch = make_batch(size, pictures, objects(info[2].As<Napi::Object>()));
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("pixels", from_tensor(info.Env(), batch.pixels));
  object.Set("boxes", from_tensor(info.Env(), batch.targets.boxes));
  object.Set("labels", from_tensor(info.Env(), batch.targets.labels));
  object.Set("counts", from_tensor(info.Env(), batch.targets.counts));
  object.Set("originals", to_list(info.Env(), batch.originals, [](Napi::Env env, const ImageSize& size) {
               Napi::Object original = Napi::Object::New(env);
               original.Set("width", static_cast<double>(size.width));
               original.Set("height", static_cast<double>(size.height));
               return original;
             }));
  return object;
}

Napi::Value convnext_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[1]));
  return from_named(info.Env(),
                    ConvNext(convnext_size(info[0].ToString()), info[2].ToBoolean(), generator).parameters());
}

Napi::Value convnext_forward_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(0);
  ConvNext convnext(convnext_size(info[0].ToString()), info[3].ToBoolean(), generator);
  load(convnext.parameters(), named_tensors(info[1]));
  return to_list(info.Env(), convnext.forward(to_tensor(info[2])), from_tensor);
}

Napi::Value from_output(Napi::Env env, const HeadOutput& output) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("clsLogits", from_tensor(env, output.cls_logits));
  object.Set("bboxRegression", from_tensor(env, output.bbox_regression));
  return object;
}

std::vector<MapShape> shapes_of(const std::vector<at::Tensor>& maps) {
  std::vector<MapShape> shapes;
  for (const at::Tensor& map : maps) shapes.push_back({map.size(1), map.size(2), map.size(3)});
  return shapes;
}

FeaturePyramid::Kind pyramid_kind(const Napi::Value& is_retinanet) {
  return is_retinanet.ToBoolean() ? FeaturePyramid::Kind::kRetinaNet : FeaturePyramid::Kind::kSsd;
}

Napi::Value feature_pyramid_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[3]));
  const FeaturePyramid pyramid(shapes_of(list(info[0], to_tensor)), integer(info[1]), info[2].ToBoolean(), generator,
                               pyramid_kind(info[4]));
  return from_named(info.Env(), pyramid.parameters());
}

Napi::Value feature_pyramid_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(0);
  const std::vector<at::Tensor> maps = list(info[0], to_tensor);
  FeaturePyramid pyramid(shapes_of(maps), integer(info[1]), info[2].ToBoolean(), generator, pyramid_kind(info[4]));
  load(pyramid.parameters(), named_tensors(info[3]));
  const std::vector<at::Tensor> made = pyramid.forward(maps);
  const std::vector<MapShape>& shapes = pyramid.map_shapes();
  TORCH_CHECK(made.size() == shapes.size(), "expected ", shapes.size(), " maps");
  for (size_t k = 0; k < made.size(); k++) {
    TORCH_CHECK(made[k].sizes().slice(1) == at::IntArrayRef({shapes[k].channels, shapes[k].height, shapes[k].width}),
                "another shape than announced: ", made[k].sizes());
  }
  return to_list(info.Env(), made, from_tensor);
}

Napi::Value ssd_head_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(0);
  SsdHead head(numbers<int64_t>(info[0]), numbers<int64_t>(info[1]), integer(info[2]), generator);
  load(head.parameters(), named_tensors(info[3]));
  return from_output(info.Env(), head.forward(list(info[4], to_tensor)));
}

Napi::Value retinanet_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[3]));
  const RetinaNetHead head(integer(info[0]), integer(info[1]), integer(info[2]), generator);
  return from_named(info.Env(), head.parameters());
}

Napi::Value retinanet_head_js(const CallbackInfo& info) {
  at::Generator generator;
  RetinaNetHead head(integer(info[0]), integer(info[1]), integer(info[2]), generator);
  load(head.parameters(), named_tensors(info[3]));
  return from_output(info.Env(), head.forward(list(info[4], to_tensor)));
}

// Output and the gradient of each input, computed in the given type.
Napi::Value with_gradients(const CallbackInfo& info, const std::vector<at::Tensor>& inputs,
                           const std::function<at::Tensor()>& compute, const at::Tensor& gradient) {
  for (const at::Tensor& input : inputs) input.set_requires_grad(true);
  const at::Tensor out = compute();
  out.backward(gradient.to(out.scalar_type()));
  Napi::Array results = Napi::Array::New(info.Env());
  results.Set(0u, from_tensor(info.Env(), out));
  for (size_t i = 0; i < inputs.size(); i++) {
    results.Set(static_cast<uint32_t>(i + 1), from_tensor(info.Env(), inputs[i].grad()));
  }
  return results;
}

at::ScalarType dtype(const Napi::Value& name) {
  const std::string text = name.ToString();
  return text == "float64" ? at::kDouble : text == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

// The first `maps` inputs are maps in the type of computation, the rest are weights of float32 (float64 for float64).
std::vector<at::Tensor> typed_inputs(const Napi::Value& values, at::ScalarType type, size_t maps) {
  std::vector<at::Tensor> inputs = list(values, to_tensor);
  for (size_t i = 0; i < inputs.size(); i++) {
    if (type == at::kDouble || i < maps) inputs[i] = inputs[i].to(type);
    if (i < maps) inputs[i] = inputs[i].contiguous(at::MemoryFormat::ChannelsLast);
  }
  return inputs;
}

// pixelValues(dtype, mean [1, 3, 1, 1], std, pixels [N, H, W, 3])
Napi::Value pixel_values_js(const CallbackInfo& info) {
  const PixelValues values(to_tensor(info[1]), to_tensor(info[2]), dtype(info[0]));
  return from_tensor(info.Env(), values.of(to_tensor(info[3])));
}

Napi::Value depthwise_conv_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 1);
  return with_gradients(info, in, [&] { return depthwise_conv(in[0], in[1], in[2]); }, to_tensor(info[2]));
}

// convForwards(dtype, weight, bias, xs, stride, padding): for each x of xs the convolution with the weight, then with
// the weight doubled in place, through one cache and without gradients.
Napi::Value conv_forwards_js(const CallbackInfo& info) {
  const c10::NoGradGuard no_grad;
  const at::ScalarType type = dtype(info[0]);
  const at::ScalarType kept = type == at::kDouble ? type : at::kFloat;
  const Affine conv{to_tensor(info[1]).to(kept), to_tensor(info[2]).to(kept)};
  WeightCache weights;
  std::vector<at::Tensor> results;
  for (const at::Tensor& x : list(info[3], to_tensor)) {
    const at::Tensor map = x.to(type).contiguous(at::MemoryFormat::ChannelsLast);
    results.push_back(conv2d(weights, map, conv, integer(info[4]), integer(info[5])));
    conv.weight.mul_(2);
    results.push_back(conv2d(weights, map, conv, integer(info[4]), integer(info[5])));
  }
  return to_list(info.Env(), results, from_tensor);
}

Napi::Value residual_mlp_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 2);
  const ResidualMlp mlp{in[2], in[3], in[4], in[5], in[6], in[7], in[8]};
  return with_gradients(info, in, [&] { return residual_mlp(in[0], in[1], mlp, 1e-6); }, to_tensor(info[2]));
}

// The same without a gradient.
Napi::Value residual_mlp_forward_js(const CallbackInfo& info) {
  const c10::InferenceMode inference;
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 2);
  return from_tensor(info.Env(), residual_mlp(in[0], in[1], {in[2], in[3], in[4], in[5], in[6], in[7], in[8]}, 1e-6));
}

// The residual MLP on x alone, as a block that is dropped for some samples: info[3] is the rate, info[4] the seed.
Napi::Value drop_path_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 1);
  at::Generator generator = at::detail::createCPUGenerator(integer(info[4]));
  const auto block = [&](const at::Tensor& x, double factor) {
    return residual_mlp(x, x, {in[1], in[2], in[3], in[4], in[5], in[6], in[7] * factor}, 1e-6);
  };
  return with_gradients(
      info, in, [&] { return drop_path(in[0], number(info[3]), generator, block); }, to_tensor(info[2]));
}

// What it has to be, x + mask / (1 - rate) * (block(x) - x): info[3] is the rate, info[4] the mask [N].
Napi::Value masked_block_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 1);
  const at::Tensor factor = to_tensor(info[4]).to(dtype(info[0])).reshape({-1, 1, 1, 1}) / (1 - number(info[3]));
  const ResidualMlp mlp{in[1], in[2], in[3], in[4], in[5], in[6], in[7]};
  return with_gradients(
      info, in, [&] { return in[0] + factor * (residual_mlp(in[0], in[0], mlp, 1e-6) - in[0]); }, to_tensor(info[2]));
}

// Makes and drops tensors of so many bytes, all of a list at the same time, list after list -> the use after each list
// was made and after it was dropped, and how many blocks of the list before served again.
[[noreturn]] void throw_as(const std::string& library) {
  if (library == "C++") throw std::bad_alloc();
  if (library == "LibTorch") C10_THROW_ERROR(Error, "DefaultCPUAllocator: can't allocate memory: you tried to ...");
  if (library == "CUDA") C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB ...");
#ifdef ONEAPI_DNNL_DNNL_COMMON_HPP
  if (library == "oneDNN") throw dnnl::error(dnnl_out_of_memory, "could not create a primitive");
  if (library == "oneDNN, unimplemented") throw dnnl::error(dnnl_unimplemented, "could not create a primitive");
#endif
  throw Error("INVALID_OPTIONS", library);
}

// -> the number of attempts at work of which attempt i throws the error of failures[i], "" for none.
Napi::Value attempts_with_enough_memory_js(const CallbackInfo& info) {
  const std::vector<std::string> failures =
      list(info[0], [](const Napi::Value& name) { return name.ToString().Utf8Value(); });
  size_t attempts = 0;
  with_enough_memory("the work", [&] {
    const std::string& failure = failures.at(attempts++);
    if (!failure.empty()) throw_as(failure);
  });
  return Napi::Number::New(info.Env(), static_cast<double>(attempts));
}

Napi::Value cached_tensors_js(const CallbackInfo& info) {
  install_caching_allocator();
  std::set<const void*> before;
  return to_list(info.Env(),
                 list(info[0],
                      [&](const Napi::Value& sizes) {
                        std::vector<at::Tensor> tensors;
                        for (const int64_t bytes : numbers<int64_t>(sizes))
                          tensors.push_back(at::zeros({bytes}, at::kByte));
                        const MemoryUse made = memory_use();
                        std::set<const void*> blocks;
                        int64_t again = 0;
                        for (const at::Tensor& each : tensors) {
                          again += static_cast<int64_t>(before.count(each.const_data_ptr()));
                          blocks.insert(each.const_data_ptr());
                        }
                        before = blocks;
                        tensors.clear();
                        const MemoryUse dropped = memory_use();
                        return std::vector<int64_t>{made.live,    made.cached,    made.peak,
                                                    dropped.live, dropped.cached, again};
                      }),
                 [](Napi::Env env, const std::vector<int64_t>& row) { return to_list(env, row, from_number); });
}

Napi::Value release_cached_memory_js(const CallbackInfo& info) {
  release_cached_memory();
  return Napi::Number::New(info.Env(), static_cast<double>(memory_use().cached));
}

std::vector<TensorSpan> tensor_spans(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) {
    const Napi::Object span = each.As<Napi::Object>();
    return TensorSpan{span.Get("name").ToString(), span.Get("dtype").ToString(), numbers<int64_t>(span.Get("shape")),
                      integer(span.Get("offset")), integer(span.Get("byteLength"))};
  });
}

Napi::Value read_tensors_js(const CallbackInfo& info) {
  const NamedTensors tensors = named_tensors(info[2]);
  read_tensors(info[0].ToString(), tensor_spans(info[1]), tensors);
  return from_named(info.Env(), tensors);
}

Napi::Value write_tensors_js(const CallbackInfo& info) {
  write_tensors(info[0].ToString(), tensor_spans(info[1]), named_tensors(info[2]));
  return info.Env().Undefined();
}

Napi::Value from_script(Napi::Env env, const c10::IValue& value) {
  if (value.isTensor()) return from_tensor(env, value.toTensor());
  if (value.isList()) return to_list(env, value.toListRef().vec(), from_script);
  Napi::Object object = Napi::Object::New(env);
  for (const auto& entry : value.toGenericDict())
    object.Set(entry.key().toStringRef(), from_script(env, entry.value()));
  return object;
}

Napi::Value run_script_js(const CallbackInfo& info) {
  const c10::NoGradGuard no_grad;
  torch::jit::Module module = torch::jit::load(info[0].ToString().Utf8Value());
  std::vector<c10::IValue> inputs;
  for (const at::Tensor& tensor : list(info[2], to_tensor)) inputs.emplace_back(tensor);
  return from_script(info.Env(), module.get_method(info[1].ToString())(inputs));
}

// Whether a GPU may multiply in TF32, [matrices, convolutions], while that is set and afterwards.
Napi::Value float32_products_js(const CallbackInfo& info) {
  const auto allowed = [] {
    const at::Context& context = at::globalContext();
    const auto is_tf32 = [&](at::Float32Op op) {
      return context.float32Precision(at::Float32Backend::CUDA, op) == at::Float32Precision::TF32;
    };
    TORCH_CHECK(context.allowTF32CuBLAS() == is_tf32(at::Float32Op::MATMUL), "two opinions of matrices");
    TORCH_CHECK(context.allowTF32CuDNN() == is_tf32(at::Float32Op::CONV), "two opinions of convolutions");
    return std::vector<double>{is_tf32(at::Float32Op::MATMUL) + 0.0, is_tf32(at::Float32Op::CONV) + 0.0};
  };
  std::vector<std::vector<double>> all{allowed()};
  {
    const Float32Products products(info[0].ToString(), c10::Device(info[1].ToString()));
    all.push_back(allowed());
  }
  all.push_back(allowed());
  return to_list(info.Env(), all,
                 [](Napi::Env env, const std::vector<double>& each) { return to_list(env, each, from_number); });
}

// The core's exceptions as JavaScript errors, with the code of those that have one.
template <Napi::Value (*function)(const CallbackInfo&)>
Napi::Value guarded(const CallbackInfo& info) {
  try {
    return function(info);
  } catch (const Error& typed) {
    Napi::Error error = Napi::Error::New(info.Env(), typed.what());
    error.Set("code", typed.code());
    throw error;
  } catch (const c10::Error& torch_error) {
    throw Napi::Error::New(info.Env(), torch_error.what_without_backtrace());
  }
}

}  // namespace

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("anchors", guarded<anchors_js>);
  add("defaultBoxes", guarded<default_boxes_js>);
  add("boxIou", guarded<box_iou_js>);
  add("clipBoxes", guarded<clip_boxes_js>);
  add("encodeBoxes", guarded<encode_boxes_js>);
  add("decodeBoxes", guarded<decode_boxes_js>);
  add("lastMilliseconds", guarded<last_milliseconds_js>);
  add("batchedNms", guarded<batched_nms_js>);
  add("diouNms", guarded<diou_nms_js>);
  add("weightBoxes", guarded<weight_boxes_js>);
  add("postprocess", guarded<postprocess_js>);
  add("ssdMatch", guarded<ssd_match_js>);
  add("retinaNetMatch", guarded<retinanet_match_js>);
  add("atssMatch", guarded<atss_match_js>);
  add("hardNegatives", guarded<hard_negatives_js>);
  add("sigmoidFocalLoss", guarded<sigmoid_focal_loss_js>);
  add("boxIouLoss", guarded<box_iou_loss_js>);
  add("multiboxLoss", guarded<multibox_loss_js>);
  add("optimizerSteps", guarded<optimizer_steps_js>);
  add("movingAverage", guarded<moving_average_js>);
  add("resizeBilinear", guarded<resize_bilinear_js>);
  add("makeBatch", guarded<make_batch_js>);
  add("convnextParameters", guarded<convnext_parameters_js>);
  add("convnextForward", guarded<convnext_forward_js>);
  add("featurePyramidParameters", guarded<feature_pyramid_parameters_js>);
  add("featurePyramid", guarded<feature_pyramid_js>);
  add("ssdHead", guarded<ssd_head_js>);
  add("retinaNetParameters", guarded<retinanet_parameters_js>);
  add("retinaNetHead", guarded<retinanet_head_js>);
  add("pixelValues", guarded<pixel_values_js>);
  add("depthwiseConv", guarded<depthwise_conv_js>);
  add("residualMlp", guarded<residual_mlp_js>);
  add("convForwards", guarded<conv_forwards_js>);
  add("residualMlpForward", guarded<residual_mlp_forward_js>);
  add("dropPath", guarded<drop_path_js>);
  add("maskedBlock", guarded<masked_block_js>);
  add("cachedTensors", guarded<cached_tensors_js>);
  add("attemptsWithEnoughMemory", guarded<attempts_with_enough_memory_js>);
  add("releaseCachedMemory", guarded<release_cached_memory_js>);
  add("readTensors", guarded<read_tensors_js>);
  add("writeTensors", guarded<write_tensors_js>);
  add("runScript", guarded<run_script_js>);
  add("float32Products", guarded<float32_products_js>);
  add("stepOperators", guarded<step_operators_js>);
  add("graphSteps", guarded<graph_steps_js>);
  add("simulateGraphs", guarded<simulate_graphs_js>);
  return exports;
}

NODE_API_MODULE(dinov3_det_test, init)

}  // namespace dinov3_det
