#pragma once

#include <napi.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/batch.h"
#include "io/tensor_file.h"
#include "lever_report.h"
#include "models/detector_model.h"
#include "ops/postprocess.h"
#include "train/train_step.h"

// Between JavaScript values and the core's plain structs. lib/ has checked the values; a wrong type still throws, never
// crashes.
namespace dinov3_det {

int64_t thread_count(const Napi::Value& value);
DetectorConfig detector_config(const Napi::Object& options);
TrainOptions train_options(const Napi::Object& options);
PostprocessOptions postprocess_options(const Napi::Object& options);
std::vector<TensorSpan> tensor_spans(const Napi::Value& value);
std::vector<std::string> class_names(const Napi::Object& options);
Objects batch_objects(const Napi::Object& spec);
ImageSize image_size(const Napi::Object& object);
std::array<uint8_t, 3> fill_colour(const Napi::Object& composition);
// All of a layer but its image; its area lies inside of `size`.
Layer batch_layer(const Napi::Object& object, const ImageSize& size);

Napi::Value to_js(Napi::Env env, const std::vector<StepResult>& results);
Napi::Value to_js(Napi::Env env, const Detections& detections);
Napi::Value to_js(Napi::Env env, const NamedTensors& tensors);
Napi::Value to_js(Napi::Env env, const std::vector<MapShape>& maps);
Napi::Value to_js(Napi::Env env, const std::vector<Lever>& levers);

template <class Typed, class T>
Typed typed_array(Napi::Env env, const std::vector<T>& values) {
  Typed array = Typed::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace dinov3_det
