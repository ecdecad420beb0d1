#include <napi.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "base/device.h"
#include "base/levers.h"
#include "base/threads.h"
#include "binding/batch_worker.h"
#include "binding/convert.h"
#include "binding/handle.h"
#include "binding/handles.h"
#include "binding/lane.h"
#include "memory/caching_allocator.h"

// Each function carries its TypeScript signature; a test compares these with lib/binding.ts.
namespace dinov3_det {

namespace {

using Napi::CallbackInfo;
using Detector = Handle<DetectorHandle>;

template <class Work, class Convert>
Napi::Value on_lane(const CallbackInfo& info, Work work, Convert convert) {
  return info.Env().GetInstanceData<Lane>()->run(info.Env(), std::move(work), std::move(convert));
}

Napi::Object object_argument(const CallbackInfo& info, size_t index) {
  if (!info[index].IsObject()) throw Napi::TypeError::New(info.Env(), "Expected object for native argument");
  return info[index].As<Napi::Object>();
}

std::string string_argument(const CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) throw Napi::TypeError::New(info.Env(), "Expected string for native argument");
  return info[index].As<Napi::String>();
}

double number_argument(const CallbackInfo& info, size_t index) {
  if (!info[index].IsNumber()) throw Napi::TypeError::New(info.Env(), "Expected number for native argument");
  const double value = info[index].As<Napi::Number>().DoubleValue();
  if (!std::isfinite(value)) throw Napi::RangeError::New(info.Env(), "Expected finite number for native argument");
  return value;
}

// 0 where there is none.
uint64_t seed_argument(const CallbackInfo& info, size_t index) {
  if (info[index].IsUndefined()) return 0;
  const double value = number_argument(info, index);
  if (value < 0 || value >= 0x1p53) throw Napi::RangeError::New(info.Env(), "Expected a native seed from 0 to 2^53");
  return static_cast<uint64_t>(value);
}

Napi::Value undefined(Napi::Env env, const bool&) { return env.Undefined(); }

// cudaDeviceCount(): number
Napi::Value count_cuda_devices(const CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(cuda_device_count()));
}

// levers(): Lever[]
Napi::Value list_levers(const CallbackInfo& info) { return to_js(info.Env(), levers()); }

// releaseMemory(): Promise<void>
Napi::Value release_memory(const CallbackInfo& info) {
  return on_lane(
      info,
      [] {
        release_cached_memory();
        return true;
      },
      undefined);
}

// setThreads(threads: number): Promise<void>
Napi::Value set_threads_of_lane(const CallbackInfo& info) {
  return on_lane(
      info,
      [threads = thread_count(info[0])] {
        set_threads(threads);
        return true;
      },
      undefined);
}

// threads(): Promise<number>
Napi::Value threads_of_lane(const CallbackInfo& info) {
  return on_lane(
      info, [] { return threads(); },
      [](Napi::Env env, const int64_t& threads) -> Napi::Value {
        return Napi::Number::New(env, static_cast<double>(threads));
      });
}

// createDetector(options: NativeDetectorOptions): Promise<DetectorHandle>
Napi::Value create_detector(const CallbackInfo& info) {
  return on_lane(
      info,
      [config = detector_config(object_argument(info, 0))] {
        return std::make_shared<DetectorHandle>(DetectorHandle{Session(config)});
      },
      Detector::create);
}

// disposeDetector(detector: DetectorHandle): void
Napi::Value dispose_detector(const CallbackInfo& info) {
  Detector::dispose(info[0]);
  return info.Env().Undefined();
}

// featureMaps(detector: DetectorHandle): FeatureMap[]
Napi::Value feature_maps(const CallbackInfo& info) { return to_js(info.Env(), Detector::get(info[0])->session.maps()); }

// precision(detector: DetectorHandle): string
Napi::Value precision(const CallbackInfo& info) {
  const at::ScalarType type = Detector::get(info[0])->session.compute_type();
  return Napi::String::New(info.Env(), type == at::kBFloat16 ? "bf16" : "fp32");
}

// defaultBoxes(detector: DetectorHandle): Promise<Float32Array>
Napi::Value default_boxes(const CallbackInfo& info) {
  return on_lane(
      info, [detector = Detector::get(info[0])] { return detector->session.default_boxes(); },
      [](Napi::Env env, const std::vector<float>& boxes) { return typed_array<Napi::Float32Array>(env, boxes); });
}

// describeState(detector: DetectorHandle, part: StatePart): Promise<TensorInfo[]>
Napi::Value describe_state(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), part = string_argument(info, 1)] { return detector->session.state(part); },
      [](Napi::Env env, const NamedTensors& tensors) { return to_js(env, tensors); });
}

// readState(detector: DetectorHandle, part: StatePart, path: string, spans: TensorSpan[]): Promise<void>
Napi::Value read_state(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), part = string_argument(info, 1), path = string_argument(info, 2),
       spans = tensor_spans(info[3])] {
        detector->session.read_state(part, path, spans);
        return true;
      },
      undefined);
}

// writeState(detector: DetectorHandle, part: StatePart, path: string, spans: TensorSpan[]): Promise<void>
Napi::Value write_state(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), part = string_argument(info, 1), path = string_argument(info, 2),
       spans = tensor_spans(info[3])] {
        detector->session.write_state(part, path, spans);
        return true;
      },
      undefined);
}

// writeDetectorScript(detector: DetectorHandle, path: string, options: DetectorScriptOptions): Promise<void>
Napi::Value write_detector_script(const CallbackInfo& info) {
  const Napi::Object options = object_argument(info, 2);
  return on_lane(
      info,
      [detector = Detector::get(info[0]), path = string_argument(info, 1), classes = class_names(options),
       postprocess = postprocess_options(options)] {
        detector->session.write_script(path, classes, postprocess);
        return true;
      },
      undefined);
}

// writeBackboneScript(detector: DetectorHandle, path: string): Promise<void>
Napi::Value write_backbone_script(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), path = string_argument(info, 1)] {
        detector->session.write_backbone_script(path);
        return true;
      },
      undefined);
}

// createBatch(spec: BatchSpec): Promise<BatchHandle>
Napi::Value create_batch(const CallbackInfo& info) { return start_batch_worker(info.Env(), object_argument(info, 0)); }

// freePixels(pixels: Uint8Array): void
Napi::Value free_pixels(const CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "Expected Uint8Array for native pixels");
  const Napi::TypedArray pixels = info[0].As<Napi::TypedArray>();
  Napi::ArrayBuffer buffer = pixels.ArrayBuffer();
  if (pixels.ByteLength() == buffer.ByteLength() && !buffer.IsDetached()) buffer.Detach();
  return info.Env().Undefined();
}

// readBatch(batch: BatchHandle): Uint8Array
Napi::Value read_batch(const CallbackInfo& info) {
  const at::Tensor pixels = Handle<BatchHandle>::get(info[0])->batch.pixels.cpu().contiguous();
  auto array = Napi::Uint8Array::New(info.Env(), pixels.numel());
  std::copy_n(pixels.data_ptr<uint8_t>(), pixels.numel(), array.Data());
  return array;
}

// disposeBatch(batch: BatchHandle): void
Napi::Value dispose_batch(const CallbackInfo& info) {
  Handle<BatchHandle>::dispose(info[0]);
  return info.Env().Undefined();
}

// startTraining(detector: DetectorHandle, options: TrainingOptions): Promise<void>
Napi::Value start_training(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), options = train_options(object_argument(info, 1))] {
        detector->session.start_training(options);
        return true;
      },
      undefined);
}

Napi::Value step_results(Napi::Env env, const std::vector<StepResult>& results) { return to_js(env, results); }

// trainStep(detector: DetectorHandle, batch: BatchHandle, learningRate: number, seed?: number): Promise<StepResult[]>
Napi::Value train_step(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), batch = Handle<BatchHandle>::get(info[1]),
       learning_rate = number_argument(info, 2),
       seed = seed_argument(info, 3)] { return detector->session.train_step(batch->batch, learning_rate, seed); },
      step_results);
}

// finishSteps(detector: DetectorHandle): Promise<StepResult[]>
Napi::Value finish_steps(const CallbackInfo& info) {
  return on_lane(info, [detector = Detector::get(info[0])] { return detector->session.finish_steps(); }, step_results);
}

// graphRefusal(detector: DetectorHandle): Promise<string>
Napi::Value graph_refusal(const CallbackInfo& info) {
  return on_lane(
      info, [detector = Detector::get(info[0])] { return detector->session.graph_refusal(); },
      [](Napi::Env env, const std::string& reason) { return Napi::String::New(env, reason); });
}

// takeSnapshot(detector: DetectorHandle): Promise<DetectorHandle>
Napi::Value take_snapshot(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0])] {
        return std::make_shared<DetectorHandle>(DetectorHandle{detector->session.snapshot()});
      },
      Detector::create);
}

// detect(detector: DetectorHandle, batch: BatchHandle, options: NativePostprocessOptions): Promise<FlatDetections>
Napi::Value detect(const CallbackInfo& info) {
  return on_lane(
      info,
      [detector = Detector::get(info[0]), batch = Handle<BatchHandle>::get(info[1]),
       options = postprocess_options(object_argument(info, 2))] {
        return detector->session.detect(batch->batch, options);
      },
      [](Napi::Env env, const Detections& detections) { return to_js(env, detections); });
}

}  // namespace

// LibTorch must not be taken down under a running job, in none of the ways in which Node ends.
static void stop_before_the_end(Napi::Env env, Lane* lane) {
  // Hooks run last in, first out: the lane stops before Node takes down what it was made from.
  env.AddCleanupHook([lane] { lane->close(); });
  // process.exit() on the main thread runs no hooks, but C++'s static destructors. Before other listeners: these may
  // exit again.
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto stop = Napi::Function::New(env, [lane](const CallbackInfo&) { lane->stop(); });
  process.Get("prependListener").As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), stop});
}

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  if (!lever_disabled("allocator")) install_caching_allocator();
  auto* lane = new Lane(env);
  env.SetInstanceData(lane);
  stop_before_the_end(env, lane);

  const auto add = [&](const char* name, Napi::Value (*function)(const CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  exports.Set("libtorchVersion", TORCH_VERSION);
  add("cudaDeviceCount", count_cuda_devices);
  add("levers", list_levers);
  add("releaseMemory", release_memory);
  add("setThreads", set_threads_of_lane);
  add("threads", threads_of_lane);
  add("createDetector", create_detector);
  add("disposeDetector", dispose_detector);
  add("featureMaps", feature_maps);
  add("precision", precision);
  add("defaultBoxes", default_boxes);
  add("describeState", describe_state);
  add("readState", read_state);
  add("writeState", write_state);
  add("writeDetectorScript", write_detector_script);
  add("writeBackboneScript", write_backbone_script);
  add("createBatch", create_batch);
  add("freePixels", free_pixels);
  add("readBatch", read_batch);
  add("disposeBatch", dispose_batch);
  add("startTraining", start_training);
  add("trainStep", train_step);
  add("finishSteps", finish_steps);
  add("graphRefusal", graph_refusal);
  add("takeSnapshot", take_snapshot);
  add("detect", detect);
  return exports;
}

NODE_API_MODULE(dinov3_det, init)

}  // namespace dinov3_det
