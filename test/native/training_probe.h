#pragma once

#include <napi.h>

namespace dinov3_det {

// stepOperators(detector, training, objects): the names of the operators of a training step that is not looked at,
// those of its backward pass included.
Napi::Value step_operators_js(const Napi::CallbackInfo& info);

// graphSteps(detector, training, steps, graphs?): what steps come to, plain or with simulated graphs.
Napi::Value graph_steps_js(const Napi::CallbackInfo& info);

// simulateGraphs(graphs?): the process has simulated graphs from now on, or none.
Napi::Value simulate_graphs_js(const Napi::CallbackInfo& info);

}  // namespace dinov3_det
