#pragma once

#include <napi.h>

namespace dinov3_det {

// stepOperators(detector, training, objects): the names of the operators of a training step that is not looked at,
// those of its backward pass included.
Napi::Value step_operators_js(const Napi::CallbackInfo& info);

}  // namespace dinov3_det
