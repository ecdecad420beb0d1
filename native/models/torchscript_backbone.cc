#include "models/torchscript_backbone.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>

#include <set>

#include "base/error.h"
#include "models/script/script_builder.h"

namespace dinov3_det {

namespace {

[[noreturn]] void refuse(const std::string& found) {
  throw Error(
      "WEIGHTS_MISMATCH",
      "The TorchScript backbone must return one map [N, C, h, w] or a tuple or list of such maps, but it returned " +
          found + "; export it so that forward([N, 3, H, W]) gives feature maps");
}

at::Tensor as_map(const c10::IValue& value) {
  if (!value.isTensor()) refuse("a " + value.tagKind());
  const at::Tensor& map = value.toTensor();
  if (map.dim() != 4) refuse("a tensor of " + std::to_string(map.dim()) + " dimensions");
  if (!map.is_floating_point()) refuse("a tensor that is not floating point");
  return map.to(at::kFloat);
}

std::vector<at::Tensor> as_maps(const c10::IValue& output) {
  if (output.isTensor()) return {as_map(output)};
  std::vector<at::Tensor> maps;
  if (output.isTuple()) {
    for (const c10::IValue& value : output.toTupleRef().elements()) maps.push_back(as_map(value));
  } else if (output.isTensorList()) {
    for (const at::Tensor& value : output.toTensorVector()) maps.push_back(as_map(value));
  } else if (output.isList()) {
    for (const c10::IValue& value : output.toListRef()) maps.push_back(as_map(value));
  } else {
    refuse("a " + output.tagKind());
  }
  if (maps.empty()) refuse("no map at all");
  return maps;
}

// Runs what is done in its lifetime in lower precision where LibTorch deems that safe. For float32 it does nothing.
class Autocast {
 public:
  Autocast(at::DeviceType device, at::ScalarType type)
      : device_(device),
        was_enabled_(at::autocast::is_autocast_enabled(device)),
        was_type_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_enabled(device, type != at::kFloat);
    if (type != at::kFloat) at::autocast::set_autocast_dtype(device, type);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();  // its copies of the weights
    at::autocast::set_autocast_enabled(device_, was_enabled_);
    at::autocast::set_autocast_dtype(device_, was_type_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_type_;
};

class TorchScriptBackbone : public Backbone {
 public:
  explicit TorchScriptBackbone(torch::jit::Module module) : module_(std::move(module)) {}

  // Of a foreign program's types we know nothing: for bfloat16 LibTorch's autocast chooses, operator by operator.
  std::vector<at::Tensor> forward(const at::Tensor& images) override {
    const Autocast autocast(images.device().type(), images.scalar_type());
    return as_maps(module_.forward({images.to(at::kFloat)}));
  }

  // Only a forward pass tells.
  std::vector<MapShape> map_shapes(int64_t height, int64_t width) override {
    const c10::NoGradGuard no_grad;
    module_.eval();
    std::vector<MapShape> shapes;
    for (const at::Tensor& map : forward(at::zeros({1, 3, height, width}))) {
      if (map.size(0) != 1 || map.numel() == 0) refuse("a map of shape " + c10::str(map.sizes()));
      shapes.push_back({map.size(1), map.size(2), map.size(3)});
    }
    return shapes;
  }

  // A module registered under two names is listed twice by TorchScript; an optimizer must step it once.
  NamedTensors parameters() const override {
    NamedTensors named;
    std::set<const void*> seen;
    for (const auto& parameter : module_.named_parameters()) {
      if (seen.insert(parameter.value.unsafeGetTensorImpl()).second) named.push_back({parameter.name, parameter.value});
    }
    return named;
  }

  NamedTensors buffers() const override {
    NamedTensors named;
    for (const auto& buffer : module_.named_buffers()) named.push_back({buffer.name, buffer.value});
    return named;
  }

  bool is_replayable() const override { return false; }
  void train(bool on) override { module_.train(on); }

  torch::jit::Module script(ScriptBuilder&) const override {
    torch::jit::Module copy = module_.deepcopy(at::kCPU);
    copy.eval();
    for (const at::Tensor& parameter : copy.parameters()) parameter.set_requires_grad(false);
    return copy;
  }

 private:
  torch::jit::Module module_;
};

}  // namespace

std::unique_ptr<Backbone> load_torchscript_backbone(const std::string& archive,
                                                    const std::optional<NodeKinds>& allowed) {
  torch::jit::Module module = load_program(archive, allowed);
  if (is_script_of(module, kDetectorClass)) {
    throw Error("WEIGHTS_MISMATCH",
                "The TorchScript file is a whole detector, as dinov3-det export writes it, and no backbone; export the "
                "backbone alone (--part backbone), or the weights as safetensors");
  }
  return std::make_unique<TorchScriptBackbone>(std::move(module));
}

}  // namespace dinov3_det
