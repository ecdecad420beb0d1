#include "models/detection_head.h"

#include <c10/util/Exception.h>
#include <torch/csrc/jit/api/module.h>

namespace dinov3_det {

namespace {
constexpr const char* kNoBranch = "this head has no branch that gives each object one box";
}  // namespace

HeadOutput DetectionHead::forward_one_to_one(const std::vector<at::Tensor>&) { TORCH_CHECK(false, kNoBranch); }

torch::jit::Module DetectionHead::script_one_to_one(ScriptBuilder&, size_t) const { TORCH_CHECK(false, kNoBranch); }

}  // namespace dinov3_det
