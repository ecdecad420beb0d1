#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dinov3_det {

// Graphs for the CPU, in the way of a GPU's: what is recorded leaves no trace, a replay does it again, operator by
// operator, from and to the same memory, in which there is nothing before, and without the host's program; asking for a
// value ends a recording.
struct SimulatedGraphs {
  std::string without;        // an operator whose calls are lost between recording and replay
  std::string failure;        // throws: "begin", "end", "replay", or an operator while it is recorded
  bool keeps_images = false;  // replays read the bytes that were there when they were recorded

  int64_t recorded = 0;
  int64_t replayed = 0;
  std::vector<at::Tensor> read;  // by the last one, and not made in it
};

// What make_graph gives for the CPU until they are taken away again by null.
void use_simulated_graphs(SimulatedGraphs* graphs);

}  // namespace dinov3_det
