#pragma once

#include <torch/csrc/jit/api/module.h>

#include <optional>
#include <string>
#include <unordered_set>

namespace dinov3_det {

using NodeKinds = std::unordered_set<std::string>;

// The one door to LibTorch's reader of TorchScript archives, on the CPU. Every graph of the program, called or not, is
// held against the kinds of nodes that are allowed ("aten::add", "prim::If"): what lib/weights/torch/torchscript.ts has
// read in the text, once more in what LibTorch made of it. Nothing of it is run but its __setstate__, which that has
// refused before. Without a list the archive is trusted. Throws TORCHSCRIPT_REFUSED naming the kind and the function.
torch::jit::Module load_program(const std::string& archive, const std::optional<NodeKinds>& allowed);

}  // namespace dinov3_det
