#include "kernels/onednn_operators.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include "base/levers.h"

namespace dinov3_det {

namespace {

// oneDNN packs bfloat16 only for some processors, and its operators refuse on others: one is asked.
bool packs(at::ScalarType type) {
  if (lever_disabled("packed-weights") || !onednn_operators().all()) return false;
  try {
    call(onednn_operators().pack_linear_weight, at::zeros({16, 16}, type), int64_t{16});
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

}  // namespace

OneDnnOperators::Operator OneDnnOperators::find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchema({name, overload});
}

const OneDnnOperators& onednn_operators() {
  static const OneDnnOperators found;
  return found;
}

bool weights_are_packed(at::ScalarType type) {
  static const bool float32 = packs(at::kFloat), bfloat16 = packs(at::kBFloat16);
  return (type == at::kFloat && float32) || (type == at::kBFloat16 && bfloat16);
}

}  // namespace dinov3_det
