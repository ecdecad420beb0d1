#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/backbone.h"

namespace dinov3_det {

// A backbone from a TorchScript archive whose forward maps [N, 3, H, W] to one map [N, C, h, w] or to a tuple or list
// of maps. The archive is executed: the caller has looked into it first (lib/weights/torchscript.ts).
std::unique_ptr<Backbone> load_torchscript_backbone(const std::string& archive);

}  // namespace dinov3_det
