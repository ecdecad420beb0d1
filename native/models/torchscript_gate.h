#pragma once

#include <string>
#include <unordered_set>

namespace torch::jit {
struct Module;
}

namespace dinov3_det {

using NodeKinds = std::unordered_set<std::string>;

// Holds every graph of a loaded module's program, called or not, against the kinds of nodes that are allowed
// ("aten::add", "prim::If"): what lib/weights/torch/torchscript.ts has read in the text, once more in what LibTorch
// made of it. Runs nothing. Throws TORCHSCRIPT_REFUSED naming the kind and the function.
void check_nodes(const torch::jit::Module& module, const NodeKinds& allowed);

}  // namespace dinov3_det
