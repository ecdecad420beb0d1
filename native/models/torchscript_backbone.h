#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/backbone.h"
#include "models/torchscript_gate.h"

namespace dinov3_det {

// A backbone from a TorchScript archive whose forward maps [N, 3, H, W] to one map [N, C, h, w] or to a tuple or list
// of maps. The archive is executed: the caller has looked into it first (lib/weights/torch/torchscript.ts), and nothing
// of it runs here before its graphs were held against `allowed`, which is absent for an archive that the user trusts.
std::unique_ptr<Backbone> load_torchscript_backbone(const std::string& archive,
                                                    const std::optional<NodeKinds>& allowed);

}  // namespace dinov3_det
