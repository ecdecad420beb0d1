#pragma once

#include <c10/core/DeviceType.h>

#include <memory>
#include <string>

namespace dinov3_det {

// What a device is told to do, recorded once; a replay then tells it all of that at once.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;

  // What this thread gives its current stream from begin() to end() is recorded, and not done. Memory for it is the
  // graph's own. After begin(), end() has to be called; it throws, as begin() does, if nothing could be recorded.
  virtual void begin() = 0;
  virtual void end() = 0;

  // On the current stream. Whatever was recorded is read from, and written to, where it lay then.
  virtual void replay() = 0;
};

// LibTorch's operator that gives a new DeviceGraph, "() -> int", its address. The core neither links CUDA nor knows its
// headers: who does (native/cuda) registers it.
std::string graph_operator(c10::DeviceType device);

// Why a device of this kind records no graphs; empty if it does.
std::string graph_missing(c10::DeviceType device);

std::unique_ptr<DeviceGraph> make_graph(c10::DeviceType device);

}  // namespace dinov3_det
