#include "train/step_graph.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/GradMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <utility>

#include "data/targets.h"

namespace dinov3_det {

namespace {

constexpr int64_t kWarmUpSteps = 3;
constexpr int64_t kTrials = 2;  // one alone would not show what was recorded as a constant
constexpr int64_t kLeastObjects = 32;

// Kernels that add in any order make two runs of a step differ a little; a graph that is wrong differs by the whole of
// some change. In shares of a tensor's change, of the tensor itself (a float32 is rounded by 2^-24), and of a loss.
constexpr double kChangeTolerance = 0.05;
constexpr double kRounding = 0x1p-22;
constexpr double kLossTolerance = 0.01;

using Tensors = std::vector<at::Tensor>;

void wait_for(const std::optional<c10::Stream>& waiting, const std::optional<c10::Stream>& working) {
  if (!waiting || !working) return;
  c10::Event done(working->device_type());
  done.record(*working);
  done.block(*waiting);
}

Tensors clones(const Tensors& tensors) {
  Tensors copies;
  for (const at::Tensor& tensor : tensors) copies.push_back(tensor.detach().clone());
  return copies;
}

void copy_all(const Tensors& to, const Tensors& from) {
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < to.size(); i++) to[i].copy_(from[i]);
}

std::string words(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace

StepGraph::StepGraph(const c10::Device& device, Step step, State state)
    : device_(device), step_(std::move(step)), state_(std::move(state)) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

at::Tensor StepGraph::run(const Batch& batch, double learning_rate, const std::vector<uint64_t>& places) {
  if (places != places_) start_anew();
  places_ = places;
  const at::Tensor measured = refusal_.empty() ? run_beside(batch, learning_rate) : at::Tensor();
  return measured.defined() ? measured : step_(batch, learning_rate);
}

// Recording takes a stream of its own. All steps are done there, with a wait before and after each: nothing that they
// share with other work is read too early or freed too soon, and memory and workspaces of one serve the others.
at::Tensor StepGraph::run_beside(const Batch& batch, double learning_rate) {
  const c10::OptionalStreamGuard on_stream(stream_);
  const std::optional<c10::Stream> outside = on_stream.original_stream();
  wait_for(stream_, outside);
  at::Tensor measured;
  try {
    measured = run_here(batch, learning_rate);
  } catch (const std::exception& error) {
    // Of a plain step. What it lacked may be the memory that the graph has: another attempt is made without.
    if (graph_) refuse(words(error));
    wait_for(outside, stream_);
    throw;
  }
  wait_for(outside, stream_);
  return measured;
}

// Undefined where nothing was done, for a reason that is kept.
at::Tensor StepGraph::run_here(const Batch& batch, double learning_rate) {
  if (inputs_.pixels.defined() && batch.pixels.size(0) < inputs_.pixels.size(0)) return step_(batch, learning_rate);
  if (!fits(batch)) make_room(batch);
  fill(batch, learning_rate);
  if (warm_up_steps_ < kWarmUpSteps) {
    warm_up_steps_++;
    return step_(inputs_, learning_rate_);
  }
  Trial trial;
  try {
    if (!graph_) record();
    if (trials_ == kTrials) return replay();
    trial = try_replay();
  } catch (const std::exception& error) {
    refuse(words(error));
    return {};
  }
  const at::Tensor measured = step_(batch, learning_rate);
  try {
    judge(trial, measured);
  } catch (const std::exception& error) {  // the step is done, whatever becomes of the graph
    refuse(words(error));
  }
  return measured;
}

bool StepGraph::fits(const Batch& batch) const {
  return inputs_.pixels.defined() && batch.pixels.sizes() == inputs_.pixels.sizes() &&
         batch.targets.labels.size(1) <= inputs_.targets.labels.size(1);
}

void StepGraph::make_room(const Batch& batch) {
  start_anew();
  const auto zeros = [&](at::IntArrayRef sizes, at::ScalarType type) {
    return at::zeros(sizes, at::TensorOptions(type).device(device_));
  };
  const int64_t images = batch.pixels.size(0);
  const int64_t objects = std::max(batch.targets.labels.size(1), kLeastObjects);
  inputs_.pixels = zeros(batch.pixels.sizes(), batch.pixels.scalar_type());
  inputs_.targets =
      pad_targets({zeros({images, 0, 4}, at::kFloat), zeros({images, 0}, at::kLong), zeros({images}, at::kLong)},
                  static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(objects))));
  learning_rate_ = zeros({}, at::kFloat);
}

// What earlier batches left behind the objects is harmless: it is finite, and masked as padding is.
void StepGraph::fill(const Batch& batch, double learning_rate) {
  const auto copy = [](const at::Tensor& to, const at::Tensor& from) { to.copy_(from, /*non_blocking=*/true); };
  const int64_t objects = batch.targets.labels.size(1);
  copy(inputs_.pixels, batch.pixels);
  copy(inputs_.targets.boxes.narrow(1, 0, objects), batch.targets.boxes);
  copy(inputs_.targets.labels.narrow(1, 0, objects), batch.targets.labels);
  copy(inputs_.targets.counts, batch.targets.counts);
  learning_rate_.fill_(learning_rate);
}

void StepGraph::record() {
  std::unique_ptr<DeviceGraph> graph = make_graph(device_.type());
  graph->begin();
  try {
    measured_ = step_(inputs_, learning_rate_);
  } catch (...) {
    try {
      graph->end();
    } catch (const std::exception&) {  // that it was broken off is known
    }
    throw;
  }
  graph->end();
  graph_ = std::move(graph);
}

at::Tensor StepGraph::replay() {
  const at::Tensor measured = at::empty_like(measured_);  // once the step is done nothing may go wrong
  graph_->replay();
  return measured.copy_(measured_);
}

// Leaves the state as it was.
StepGraph::Trial StepGraph::try_replay() {
  const Tensors state = state_();
  Trial trial{clones(state), clones(state), {}};
  trial.measured = replay();
  copy_all(trial.after, state);
  copy_all(state, trial.before);
  return trial;
}

// expected: what the plain step measured, of which the state is now.
void StepGraph::judge(const Trial& trial, const at::Tensor& expected) {
  if (!at::isfinite(expected).all().item<bool>()) return;  // a step that changed nothing shows nothing
  const c10::NoGradGuard no_grad;
  const Tensors state = state_();
  const auto norm = [](const at::Tensor& tensor) { return tensor.to(at::kDouble).norm().cpu(); };
  double changed = 0;
  bool same = at::allclose(trial.measured, expected, kLossTolerance, kRounding);
  for (size_t i = 0; i < state.size(); i++) {
    const double change = norm(state[i] - trial.before[i]).item<double>();
    const double difference = norm(state[i] - trial.after[i]).item<double>();
    same = same && difference <= change * kChangeTolerance + norm(state[i]).item<double>() * kRounding;
    changed += change;
  }
  if (changed == 0) return;  // it followed such a step unknowingly
  if (same) {
    trials_++;
  } else {
    refuse("a replayed step came to other numbers than a plain one");
  }
}

void StepGraph::start_anew() {
  measured_.reset();
  graph_.reset();
  warm_up_steps_ = 0;
  trials_ = 0;
}

void StepGraph::refuse(const std::string& reason) {
  start_anew();
  inputs_ = {};
  learning_rate_.reset();
  refusal_ = reason;
}

}  // namespace dinov3_det
