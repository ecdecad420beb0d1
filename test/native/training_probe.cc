#include "training_probe.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "binding/convert.h"
#include "models/detector_model.h"
#include "train/train_step.h"

namespace dinov3_det {

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

}  // namespace

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

}  // namespace dinov3_det
