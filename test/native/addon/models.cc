#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/serialization/import.h>

#include <string>
#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "kernels/residual_mlp.h"
#include "models/convnext.h"
#include "models/dense_head.h"
#include "models/dense_neck.h"
#include "models/drop_path.h"
#include "models/feature_pyramid.h"
#include "models/layers.h"
#include "models/precision.h"
#include "models/retinanet_head.h"
#include "models/ssd_head.h"
#include "models/weight_cache.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

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

FeaturePyramid::Coarser coarser_maps(const Napi::Value& is_retinanet) {
  return is_retinanet.ToBoolean() ? FeaturePyramid::Coarser::kP6P7 : FeaturePyramid::Coarser::kExtras;
}

Napi::Value feature_pyramid_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[3]));
  const FeaturePyramid pyramid(shapes_of(list(info[0], to_tensor)), integer(info[1]), info[2].ToBoolean(), generator,
                               coarser_maps(info[4]));
  return from_named(info.Env(), pyramid.parameters());
}

Napi::Value feature_pyramid_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(0);
  const std::vector<at::Tensor> maps = list(info[0], to_tensor);
  FeaturePyramid pyramid(shapes_of(maps), integer(info[1]), info[2].ToBoolean(), generator, coarser_maps(info[4]));
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

Napi::Value dense_neck_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[2]));
  return from_named(info.Env(),
                    DenseNeck(shapes_of(list(info[0], to_tensor)), integer(info[1]), generator).parameters());
}

Napi::Value dense_neck_js(const CallbackInfo& info) {
  at::Generator generator;
  const std::vector<at::Tensor> maps = list(info[0], to_tensor);
  DenseNeck neck(shapes_of(maps), integer(info[1]), generator);
  load(neck.parameters(), named_tensors(info[2]));
  return to_list(info.Env(), neck.forward(maps), from_tensor);
}

Napi::Value dense_head_parameters_js(const CallbackInfo& info) {
  at::Generator generator = at::detail::createCPUGenerator(integer(info[2]));
  return from_named(info.Env(),
                    DenseHead(shapes_of(list(info[0], to_tensor)), integer(info[1]), false, generator).parameters());
}

Napi::Value dense_head_js(const CallbackInfo& info) {
  at::Generator generator;
  const std::vector<at::Tensor> maps = list(info[0], to_tensor);
  DenseHead head(shapes_of(maps), integer(info[1]), false, generator);
  load(head.parameters(), named_tensors(info[2]));
  return from_output(info.Env(), head.forward(maps));
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

// convGradients(dtype, [x, weight, bias], upstream, stride, padding): what a training step computes of a convolution.
Napi::Value conv_gradients_js(const CallbackInfo& info) {
  const std::vector<at::Tensor> in = typed_inputs(info[1], dtype(info[0]), 1);
  const auto forward = [&] { return conv2d_with_gradients(in[0], in[1], in[2], integer(info[3]), integer(info[4])); };
  return with_gradients(info, in, forward, to_tensor(info[2]));
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

}  // namespace

void add_models(Exports& exports) {
  exports.add<convnext_parameters_js>("convnextParameters");
  exports.add<convnext_forward_js>("convnextForward");
  exports.add<feature_pyramid_parameters_js>("featurePyramidParameters");
  exports.add<feature_pyramid_js>("featurePyramid");
  exports.add<ssd_head_js>("ssdHead");
  exports.add<retinanet_parameters_js>("retinaNetParameters");
  exports.add<retinanet_head_js>("retinaNetHead");
  exports.add<conv_forwards_js>("convForwards");
  exports.add<conv_gradients_js>("convGradients");
  exports.add<drop_path_js>("dropPath");
  exports.add<masked_block_js>("maskedBlock");
  exports.add<run_script_js>("runScript");
  exports.add<float32_products_js>("float32Products");
  exports.add<dense_neck_parameters_js>("denseNeckParameters");
  exports.add<dense_neck_js>("denseNeck");
  exports.add<dense_head_parameters_js>("denseHeadParameters");
  exports.add<dense_head_js>("denseHead");
}

}  // namespace dinov3_det::test
