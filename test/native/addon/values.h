#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/image_size.h"
#include "base/named_tensor.h"
#include "base/names.h"
#include "data/batch.h"
#include "ops/default_boxes.h"

// Between plain JavaScript values and the core's. A tensor is {data: typed array, shape: number[]}.
namespace dinov3_det::test {

// Float32Array is float32, Int32Array int64 (the core's type for labels, counts and indices), Uint8Array uint8.
at::Tensor to_tensor(const Napi::Value& value);

Napi::Value from_tensor(Napi::Env env, const at::Tensor& tensor);

Napi::Value from_number(Napi::Env env, double value);

double number(const Napi::Value& value);

int64_t integer(const Napi::Value& value);

ImageSize image_size(const Napi::Value& value);

NamedTensors named_tensors(const Napi::Value& value);

Napi::Value from_named(Napi::Env env, const NamedTensors& tensors);

// Gives a model's parameters the values of the tensors of the same name.
void load(const NamedTensors& parameters, const NamedTensors& values);

Objects objects(const Napi::Object& object);

Targets targets(const Napi::Object& object);

// [center, size], SSD's when none are given.
BoxCoding box_coding(const Napi::Value& value);

std::vector<BoxGrid> box_grids(const Napi::Value& value);

// boxes, with their grids and box weights if `object` has them.
DefaultBoxes default_boxes_of(const Napi::Value& boxes, const Napi::Object& object);

at::ScalarType dtype(const Napi::Value& name);

// The first `maps` inputs are maps in the type of computation, the rest are weights of float32 (float64 for float64).
std::vector<at::Tensor> typed_inputs(const Napi::Value& values, at::ScalarType type, size_t maps);

// Output and the gradient of each input, computed in the given type.
Napi::Value with_gradients(const Napi::CallbackInfo& info, const std::vector<at::Tensor>& inputs,
                           const std::function<at::Tensor()>& compute, const at::Tensor& gradient);

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

// One of the kinds that have names; the first when none is given.
template <class Kind, size_t N>
Kind kind(const Napi::Value& name, const Names<Kind, N>& names) {
  return name.IsUndefined() ? names[0].second : find_kind(names, name.ToString().Utf8Value()).value();
}

// What the last operation took that the benchmarks time: without the conversion of its arguments.
extern double last_milliseconds;

template <class Action>
auto timed(Action action) {
  const auto began = std::chrono::steady_clock::now();
  auto result = action();
  last_milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  return result;
}

}  // namespace dinov3_det::test
