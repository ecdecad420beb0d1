#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

namespace dinov3_det {

// What a TorchScript object has under one name: a module, a tensor (a parameter unless it is said to be a buffer), or a
// plain value.
struct ScriptMember {
  std::string name;
  c10::IValue value;
  bool is_buffer = false;
};

// Makes the modules of one TorchScript program. A class is compiled with its first object; objects made of it later
// have members of the same names and types.
class ScriptBuilder {
 public:
  // `methods` is TorchScript, which calls a member module as `self.name.forward(x)`. Tensors are brought to the CPU,
  // without their gradients.
  torch::jit::Module make(const std::string& class_name, const std::vector<ScriptMember>& members,
                          const std::string& methods = "");

  // Modules by their index, as torch.nn.Sequential names them.
  torch::jit::Module make_list(const std::string& class_name, const std::vector<torch::jit::Module>& modules,
                               const std::string& methods = "");
  // Its forward takes a tensor through one after the other.
  torch::jit::Module make_sequential(const std::string& class_name, const std::vector<torch::jit::Module>& modules);

 private:
  std::shared_ptr<torch::jit::CompilationUnit> unit_ = std::make_shared<torch::jit::CompilationUnit>();
};

// The class of a whole detector, by which its file is told from a backbone's.
constexpr const char* kDetectorClass = "Detector";

// Whether a ScriptBuilder made the module, or one that was loaded since, of this class.
bool is_script_of(const torch::jit::Module& module, const std::string& class_name);

// Writes what torch.jit.load reads. Throws OUTPUT_NOT_WRITABLE.
void save_script(const torch::jit::Module& module, const std::string& path);

}  // namespace dinov3_det
