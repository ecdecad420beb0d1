#include "models/exchange.h"

#include <ATen/ATen.h>

namespace dinov3_det {

void exchange(const NamedTensors& tensors, std::vector<at::Tensor>& counterparts) {
  for (size_t i = 0; i < tensors.size(); i++) {
    const at::Tensor held = tensors[i].tensor.variable_data();
    tensors[i].tensor.set_data(counterparts[i]);
    tensors[i].tensor.unsafeGetTensorImpl()->bump_version();
    counterparts[i] = held;
  }
}

}  // namespace dinov3_det
