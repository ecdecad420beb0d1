#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "addon/exports.h"
#include "addon/values.h"
#include "models/held_weights.h"
#include "train/atss.h"
#include "train/box_iou_loss.h"
#include "train/dense_loss.h"
#include "train/ema.h"
#include "train/focal_loss.h"
#include "train/hard_negatives.h"
#include "train/matcher.h"
#include "train/multibox_loss.h"
#include "train/optimizer.h"
#include "train/soft_assigner.h"

namespace dinov3_det::test {

namespace {

using Napi::CallbackInfo;

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
  const BoxLoss name = kind(info[0], kBoxLosses);
  const auto loss = [&](const at::Tensor& boxes, const at::Tensor& targets) {
    return box_iou_loss(name, boxes, targets);
  };
  return loss_with_gradient(info.Env(), loss, to_tensor(info[1]), to_tensor(info[2]));
}

Napi::Value multibox_loss_js(const CallbackInfo& info) {
  const HeadOutput output{to_tensor(info[0]).requires_grad_(true), to_tensor(info[1]).requires_grad_(true)};
  const Napi::Object given = info[4].IsObject() ? info[4].As<Napi::Object>() : Napi::Object::New(info.Env());
  LossOptions options{kind(given.Get("classification"), kClassLosses), kind(given.Get("box"), kBoxLosses),
                      given.Get("backgroundNegatives").ToBoolean(), kind(given.Get("assigner"), kAssigners)};
  if (!given.Get("classWeights").IsUndefined()) options.class_weights = to_tensor(given.Get("classWeights"));
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

Napi::Value assign_softly_js(const CallbackInfo& info) {
  const at::Tensor cells = to_tensor(info[3]);
  const at::Tensor boxes = decode_boxes(to_tensor(info[1]), cells, BoxCoding::distances());
  SoftAssignerOptions options;
  options.points_of_object = integer(info[4]);
  if (!info[5].IsUndefined()) options.most_pairs = integer(info[5]);
  const auto [matches, quality] =
      assign_softly(to_tensor(info[0]), boxes, targets(info[2].As<Napi::Object>()), cells, options);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("matches", from_tensor(info.Env(), matches));
  object.Set("quality", from_tensor(info.Env(), quality));
  return object;
}

Napi::Value dense_loss_js(const CallbackInfo& info) {
  const HeadOutput output{to_tensor(info[0]).requires_grad_(true), to_tensor(info[1]).requires_grad_(true)};
  const DefaultBoxes cells{to_tensor(info[3]), {}, BoxCoding::distances()};
  LossOptions options;
  options.object_balance = number(info[4]);
  if (!info[5].IsUndefined()) options.class_weights = to_tensor(info[5]);
  const MultiboxLoss loss = dense_loss(output, targets(info[2].As<Napi::Object>()), cells, options, integer(info[6]));
  (loss.bbox_regression + loss.classification).backward();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("boxLoss", loss.bbox_regression.item<double>());
  object.Set("classLoss", loss.classification.item<double>());
  object.Set("positives", loss.positives.item<double>());
  object.Set("terms", loss.terms.item<double>());
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
  const auto optimizer =
      make_optimizer({info[0].ToString(), info[5].IsUndefined() ? 0.9 : number(info[5])}, parameters, options);
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
  HeldWeights held;
  Ema ema(held, {{"w", weight}}, number(info[2]));
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

}  // namespace

void add_train(Exports& exports) {
  exports.add<ssd_match_js>("ssdMatch");
  exports.add<retinanet_match_js>("retinaNetMatch");
  exports.add<atss_match_js>("atssMatch");
  exports.add<hard_negatives_js>("hardNegatives");
  exports.add<sigmoid_focal_loss_js>("sigmoidFocalLoss");
  exports.add<box_iou_loss_js>("boxIouLoss");
  exports.add<multibox_loss_js>("multiboxLoss");
  exports.add<assign_softly_js>("assignSoftly");
  exports.add<dense_loss_js>("denseLoss");
  exports.add<optimizer_steps_js>("optimizerSteps");
  exports.add<moving_average_js>("movingAverage");
}

}  // namespace dinov3_det::test
