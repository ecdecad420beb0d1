#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace dinov3_det {

// A tensor under the name that it has in a state_dict.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

using NamedTensors = std::vector<NamedTensor>;

// Appends `part` to `all`, each name behind `prefix`.
inline void append(NamedTensors& all, const std::string& prefix, const NamedTensors& part) {
  for (const NamedTensor& entry : part) all.push_back({prefix + entry.name, entry.tensor});
}

}  // namespace dinov3_det
