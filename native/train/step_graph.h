#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batch.h"
#include "train/device_graph.h"
#include "train/optimizer.h"

namespace dinov3_det {

// A training step as one piece of work for the device: recorded, then replayed, in which the host has no part. What it
// takes from the host lies in tensors of fixed sizes: images, ground truth with room for more objects than there are,
// and the learning rate.
//
// The first batches are done plainly, so that LibTorch's libraries have chosen kernels and made workspaces. Then a step
// is recorded, and of the next ones each is done both ways, from the same state: only a graph that comes to the same is
// used, and until then results and state are the plain step's. A smaller batch, as the last of an epoch, is done
// plainly; after a larger one, one with more objects than there is room for, or a change of the places that are read,
// all begins anew. Whatever goes wrong, steps are plain ones from then on, and the reason is kept.
class StepGraph {
 public:
  // A step, which never waits for the device -> what it measured, a tensor on the device.
  using Step = std::function<at::Tensor(const Batch&, const LearningRate&)>;
  // All that a step changes, as it lies during one.
  using State = std::function<std::vector<at::Tensor>()>;

  StepGraph(const c10::Device& device, Step step, State state);

  // places: what else a recorded step relies on, such as where the weights lie.
  at::Tensor run(const Batch& batch, double learning_rate, const std::vector<uint64_t>& places);

  // Why steps are plain ones for good; empty where they are not.
  const std::string& refusal() const { return refusal_; }

 private:
  // What a replayed step made of `before`.
  struct Trial {
    std::vector<at::Tensor> before, after;
    at::Tensor measured;
  };

  at::Tensor run_beside(const Batch& batch, double learning_rate);
  at::Tensor run_here(const Batch& batch, double learning_rate);
  bool fits(const Batch& batch) const;
  void make_room(const Batch& batch);
  void fill(const Batch& batch, double learning_rate);
  void record();
  at::Tensor replay();
  Trial try_replay();
  void judge(const Trial& trial, const at::Tensor& expected);
  void start_anew();
  void refuse(const std::string& reason);

  c10::Device device_;
  Step step_;
  State state_;
  std::optional<c10::Stream> stream_;  // none on the CPU
  std::vector<uint64_t> places_;
  int64_t warm_up_steps_ = 0;
  int64_t trials_ = 0;  // that it has passed
  Batch inputs_;
  at::Tensor learning_rate_;            // float32 scalar
  at::Tensor measured_;                 // where the graph leaves it
  std::unique_ptr<DeviceGraph> graph_;  // null until a step is recorded
  std::string refusal_;
};

}  // namespace dinov3_det
