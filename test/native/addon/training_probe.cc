#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "addon/exports.h"
#include "addon/simulated_graph.h"
#include "base/error.h"
#include "binding/convert.h"
#include "models/detector_model.h"
#include "train/snapshot.h"
#include "train/train_step.h"

namespace dinov3_det::test {

namespace {

// On the CPU it reads the counters of its steps as no other device does.
constexpr const char* kReadsCounters = "aten::_fused_adamw_";

// Records what runs in its lifetime, on any thread.
class Recording {
 public:
  Recording() {
    operators().clear();
    const auto callback = at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION});
    handle_ = at::addGlobalCallback(callback);
  }
  ~Recording() { at::removeCallback(handle_); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  static std::set<std::string>& operators() {
    static std::set<std::string> names;
    return names;
  }

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    if (!reading_counters) operators().insert(function.name());
    if (std::string(function.name()) == kReadsCounters) reading_counters = true;
    return nullptr;
  }

  static void end(const at::RecordFunction& function, at::ObserverContext*) {
    if (std::string(function.name()) == kReadsCounters) reading_counters = false;
  }

  static thread_local bool reading_counters;
  at::CallbackHandle handle_;
};

thread_local bool Recording::reading_counters = false;

Batch grey_batch(const ImageSize& size, const Objects& objects) {
  Batch batch = make_batch(size, {}, objects);
  batch.pixels = at::full({static_cast<int64_t>(objects.counts.size()), size.height, size.width, 3}, 128, at::kByte);
  return batch;
}

// stepOperators(detector, training, objects): the names of the operators of a training step that is not looked at,
// those of its backward pass included.
Napi::Value step_operators_js(const Napi::CallbackInfo& info) {
  const DetectorConfig config = detector_config(info[0].As<Napi::Object>());
  TrainOptions options = train_options(info[1].As<Napi::Object>());
  options.look_every = 3;
  TrainStep training(std::make_shared<DetectorModel>(config), options);
  const Batch batch = grey_batch(config.image_size, batch_objects(info[2].As<Napi::Object>()));
  training.run(batch, 1e-3, 0);
  {
    const Recording recording;
    training.run(batch, 1e-3, 1);
  }
  Napi::Array names = Napi::Array::New(info.Env());
  for (const std::string& name : Recording::operators()) names.Set(names.Length(), name);
  return names;
}

// Images that no other step has.
Batch batch_of_step(const ImageSize& size, const Napi::Object& step, int64_t index) {
  Batch batch = grey_batch(size, batch_objects(step.Get("objects").As<Napi::Object>()));
  const at::Tensor places = at::arange(batch.pixels.numel()).reshape(batch.pixels.sizes());
  batch.pixels = (places * (2 * index + 3)).remainder(251).to(at::kByte);
  return batch;
}

at::Tensor detect(DetectorModel& model, const at::Tensor& pixels) {
  const c10::NoGradGuard no_grad;
  model.set_training(false);
  return model.forward(pixels).cls_logits;
}

// In their places, as weights are read from a file.
void load_other_values(const NamedTensors& tensors) {
  const c10::NoGradGuard no_grad;
  for (const NamedTensor& entry : tensors) {
    if (entry.tensor.dim() > 0) entry.tensor.copy_(entry.tensor * 0.75);
  }
}

// What a user may do between two steps -> what was detected.
NamedTensors interlude(const std::string& what, DetectorModel& model, const TrainStep& training,
                       const at::Tensor& pixels) {
  if (what == "detect") return {{"logits", detect(model, pixels)}};
  if (what == "load") {
    load_other_values(model.state());
    load_other_values(training.state());
  }
  if (what == "snapshot") {
    Snapshot snapshot(model, training);
    const SnapshotWeights weights(&snapshot);
    return {{"logits", detect(model, pixels)}};
  }
  return {};
}

Napi::Value values_of(Napi::Env env, const NamedTensors& tensors) {
  Napi::Object object = Napi::Object::New(env);
  for (const NamedTensor& entry : tensors) {
    const at::Tensor values = entry.tensor.detach().to(at::kFloat).contiguous();
    const auto* begin = values.const_data_ptr<float>();
    object.Set(entry.name, typed_array<Napi::Float32Array>(env, std::vector<float>(begin, begin + values.numel())));
  }
  return object;
}

SimulatedGraphs simulated_graphs(const Napi::Object& options) {
  const auto text = [&](const char* key) {
    return options.Has(key) ? options.Get(key).ToString().Utf8Value() : std::string();
  };
  SimulatedGraphs graphs;
  graphs.without = text("without");
  graphs.failure = text("failure");
  graphs.keeps_images = options.Get("keepsImages").ToBoolean();
  return graphs;
}

// Names of tensors that outlive a step; of others type and shape.
Napi::Value names_of(Napi::Env env, const std::vector<at::Tensor>& tensors, const NamedTensors& known) {
  std::set<std::string> names;
  for (const at::Tensor& tensor : tensors) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const NamedTensor& entry) { return entry.tensor.is_alias_of(tensor); });
    names.insert(found == known.end() ? c10::str(tensor.scalar_type(), " ", tensor.sizes()) : found->name);
  }
  Napi::Array array = Napi::Array::New(env);
  for (const std::string& name : names) array.Set(array.Length(), name);
  return array;
}

// Takes the graphs away again.
class WithGraphs {
 public:
  explicit WithGraphs(SimulatedGraphs* graphs) { use_simulated_graphs(graphs); }
  ~WithGraphs() { use_simulated_graphs(nullptr); }
  WithGraphs(const WithGraphs&) = delete;
  WithGraphs& operator=(const WithGraphs&) = delete;
};

// graphSteps(detector, training, steps, graphs?): what steps come to, plain or with simulated graphs.
Napi::Value graph_steps_js(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool plain = info[3].IsUndefined();
  SimulatedGraphs graphs = plain ? SimulatedGraphs() : simulated_graphs(info[3].As<Napi::Object>());
  const WithGraphs with_graphs(plain ? nullptr : &graphs);
  const DetectorConfig config = detector_config(info[0].As<Napi::Object>());
  const auto model = std::make_shared<DetectorModel>(config);
  TrainStep training(model, train_options(info[1].As<Napi::Object>()));

  Napi::Array results = Napi::Array::New(env), errors = Napi::Array::New(env), detected = Napi::Array::New(env);
  const auto steps = info[2].As<Napi::Array>();
  for (uint32_t i = 0; i <= steps.Length(); i++) {
    try {
      std::vector<StepResult> told;
      if (i < steps.Length()) {
        const auto step = steps.Get(i).As<Napi::Object>();
        Batch batch = batch_of_step(config.image_size, step, i);
        const std::string before = step.Has("before") ? step.Get("before").ToString().Utf8Value() : "";
        if (before == "cut") batch.pixels = batch.pixels.narrow(1, 0, 1);
        detected.Set(i, values_of(env, interlude(before, *model, training, batch.pixels)));
        told = training.run(batch, step.Get("learningRate").ToNumber(), i);
      } else {
        told = training.finish();
      }
      results.Set(results.Length(), to_js(env, told));
    } catch (const Error& error) {
      errors.Set(errors.Length(), error.code());
    } catch (const c10::Error& error) {
      errors.Set(errors.Length(), error.what_without_backtrace());
    }
  }

  NamedTensors known = model->state();
  append(known, "", training.state());
  known.push_back({"default boxes", model->default_boxes().boxes});
  Napi::Object report = Napi::Object::New(env);
  report.Set("results", results);
  report.Set("errors", errors);
  report.Set("detected", detected);
  report.Set("model", values_of(env, model->state()));
  report.Set("optimizer", values_of(env, training.state()));
  report.Set("recorded", static_cast<double>(graphs.recorded));
  report.Set("replayed", static_cast<double>(graphs.replayed));
  report.Set("refusal", training.graph_refusal());
  report.Set("read", names_of(env, graphs.read, known));
  return report;
}

// weightConflicts(detector, training, objects): what is said of each way to take other weights for a model's own, and
// the model's state before and after them.
Napi::Value weight_conflicts_js(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DetectorConfig config = detector_config(info[0].As<Napi::Object>());
  const auto model = std::make_shared<DetectorModel>(config);
  TrainStep training(model, train_options(info[1].As<Napi::Object>()));
  const Batch batch = grey_batch(config.image_size, batch_objects(info[2].As<Napi::Object>()));
  training.run(batch, 1e-3, 0);
  Napi::Object report = Napi::Object::New(env);
  const auto attempt = [&](const char* name, const auto& action) {
    try {
      action();
      report.Set(name, "");
    } catch (const c10::Error& error) {
      report.Set(name, error.what_without_backtrace());
    }
  };
  report.Set("before", values_of(env, model->state()));
  Snapshot snapshot(*model, training);
  {
    const SnapshotWeights weights(&snapshot);
    attempt("exchange", [&] { const SnapshotWeights twice(&snapshot); });
    attempt("step", [&] { training.run(batch, 1e-3, 1); });
    attempt("snapshot", [&] { const Snapshot another(*model, training); });
  }
  HeldWeights held;
  Ema ema(held, {{"w", at::ones({2})}}, 0.9);
  attempt("average", [&] { ema.update(at::zeros({})); });
  report.Set("after", values_of(env, model->state()));
  attempt("nextStep", [&] { training.run(batch, 1e-3, 1); });
  return report;
}

// simulateGraphs(graphs?): the process has simulated graphs from now on, or none.
Napi::Value simulate_graphs_js(const Napi::CallbackInfo& info) {
  static SimulatedGraphs graphs;
  const bool plain = info[0].IsUndefined();
  if (!plain) graphs = simulated_graphs(info[0].As<Napi::Object>());
  use_simulated_graphs(plain ? nullptr : &graphs);
  return info.Env().Undefined();
}

}  // namespace

void add_training_probe(Exports& exports) {
  exports.add<step_operators_js>("stepOperators");
  exports.add<graph_steps_js>("graphSteps");
  exports.add<weight_conflicts_js>("weightConflicts");
  exports.add<simulate_graphs_js>("simulateGraphs");
}

}  // namespace dinov3_det::test
