#include "models/script/script_builder.h"

#include <torch/csrc/jit/serialization/export.h>

#include <fstream>

#include "base/error.h"

namespace dinov3_det {

using torch::jit::Module;

namespace {

c10::QualifiedName qualified(const std::string& class_name) {
  return c10::QualifiedName("__torch__.dinov3_det." + class_name);
}

}  // namespace

Module ScriptBuilder::make(const std::string& class_name, const std::vector<ScriptMember>& members,
                           const std::string& methods) {
  const c10::QualifiedName name = qualified(class_name);
  const c10::ClassTypePtr known = unit_->get_class(name);
  Module module = known ? Module(unit_, known) : Module(name, unit_);
  module.register_attribute("training", c10::BoolType::get(), false);  // Module::train() asks for it
  for (const ScriptMember& member : members) {
    if (member.value.isTensor()) {
      module.register_attribute(member.name, c10::TensorType::get(), member.value.toTensor().detach().to(at::kCPU),
                                !member.is_buffer, member.is_buffer);
    } else {
      module.register_attribute(member.name, member.value.type(), member.value);
    }
  }
  if (!known) module.define(methods);
  return module;
}

Module ScriptBuilder::make_list(const std::string& class_name, const std::vector<Module>& modules,
                                const std::string& methods) {
  std::vector<ScriptMember> members;
  for (const Module& module : modules) members.push_back({std::to_string(members.size()), module._ivalue()});
  return make(class_name, members, methods);
}

Module ScriptBuilder::make_sequential(const std::string& class_name, const std::vector<Module>& modules) {
  std::string forward = "def forward(self, x: Tensor) -> Tensor:\n";
  for (size_t i = 0; i < modules.size(); i++) {
    forward += "    x = getattr(self, \"" + std::to_string(i) + "\").forward(x)\n";
  }
  return make_list(class_name, modules, forward + "    return x\n");
}

bool is_script_of(const Module& module, const std::string& class_name) {
  return module.type()->name() == qualified(class_name);
}

void save_script(const Module& module, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  // LibTorch's writer ends the process when it is told of a failure: it throws once more in its destructor.
  torch::jit::ExportModule(module, [&](const void* bytes, size_t size) {
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    return size;
  });
  file.flush();
  if (!file) throw Error("OUTPUT_NOT_WRITABLE", "Writing " + path + " failed; is the disk full?");
}

}  // namespace dinov3_det
