#include "addon/values.h"

#include <ATen/ATen.h>

#include <cstring>

namespace dinov3_det::test {

double last_milliseconds = 0;

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

Napi::Value from_number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

double number(const Napi::Value& value) { return value.ToNumber().DoubleValue(); }

int64_t integer(const Napi::Value& value) { return value.ToNumber().Int64Value(); }

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

BoxCoding box_coding(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  if (value.IsString()) return BoxCoding::distances();
  const std::vector<double> weights = numbers<double>(value);
  return BoxCoding::offsets(weights[0], weights[1]);
}

std::vector<BoxGrid> box_grids(const Napi::Value& value) {
  return list(value, [](const Napi::Value& each) {
    const Napi::Object grid = each.As<Napi::Object>();
    return BoxGrid{integer(grid.Get("cells")), integer(grid.Get("boxesPerCell"))};
  });
}

DefaultBoxes default_boxes_of(const Napi::Value& boxes, const Napi::Object& object) {
  const Napi::Value grids = object.Get("grids");
  return {to_tensor(boxes), grids.IsUndefined() ? std::vector<BoxGrid>{} : box_grids(grids),
          box_coding(object.Get("boxWeights"))};
}

at::ScalarType dtype(const Napi::Value& name) {
  const std::string text = name.ToString();
  return text == "float64" ? at::kDouble : text == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

std::vector<at::Tensor> typed_inputs(const Napi::Value& values, at::ScalarType type, size_t maps) {
  std::vector<at::Tensor> inputs = list(values, to_tensor);
  for (size_t i = 0; i < inputs.size(); i++) {
    if (type == at::kDouble || i < maps) inputs[i] = inputs[i].to(type);
    if (i < maps) inputs[i] = inputs[i].contiguous(at::MemoryFormat::ChannelsLast);
  }
  return inputs;
}

Napi::Value with_gradients(const Napi::CallbackInfo& info, const std::vector<at::Tensor>& inputs,
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

}  // namespace dinov3_det::test
