#include "models/torchscript_gate.h"

#include <ATen/core/class_type.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

#include "base/error.h"

namespace dinov3_det {

namespace {

// A method without a graph is of a native class: what it does, no list of nodes can tell.
bool calls_native_method(const torch::jit::Node& node) {
  if (node.kind() != c10::prim::CallMethod) return false;
  const auto type = node.input(0)->type()->cast<c10::ClassType>();
  return type && !type->getMethod(node.s(c10::attr::name)).isGraphFunction();
}

void check_block(const torch::jit::Block& block, const std::string& function, const NodeKinds& allowed) {
  for (const torch::jit::Node* node : block.nodes()) {
    const std::string kind = node->kind().toQualString();
    if (!allowed.contains(kind) || calls_native_method(*node)) {
      throw Error("TORCHSCRIPT_REFUSED", "Refused to run the TorchScript backbone: its function " + function +
                                             " uses " + kind +
                                             (allowed.contains(kind) ? " for a method of a native class" : "") +
                                             ", which is not on the list of allowed operators");
    }
    for (const torch::jit::Block* inner : node->blocks()) check_block(*inner, function, allowed);
  }
}

void check_nodes(const torch::jit::Module& module, const NodeKinds& allowed) {
  // The unit owns the methods of every class in the archive and the functions beside them.
  for (torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    if (!function) continue;  // one that was taken out again leaves its place
    const torch::jit::GraphFunction& compiled = torch::jit::toGraphFunction(*function);
    check_block(*compiled.graph()->block(), function->qualname().qualifiedName(), allowed);
  }
}

}  // namespace

torch::jit::Module load_program(const std::string& archive, const std::optional<NodeKinds>& allowed) {
  std::istringstream stream(archive);
  torch::jit::Module module = torch::jit::load(stream, at::kCPU);
  if (allowed) check_nodes(module, *allowed);
  return module;
}

}  // namespace dinov3_det
