#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/named_tensor.h"

namespace dinov3_det {

// Where one tensor lies in a file, little-endian, rows packed; dtype as safetensors names it ("F32", "BF16", ...).
struct TensorSpan {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t offset;
  int64_t bytes;
  std::optional<int64_t> row = {};  // of the tensor's first dimension, which alone is read; `shape` is the row's
};

std::string dtype_name(at::ScalarType dtype);

// Reads each span into the tensor of its name, converting floating point types. The header has been checked by the
// caller.
void read_tensors(const std::string& path, const std::vector<TensorSpan>& spans, const NamedTensors& tensors);

// Writes each span's tensor at its place in an existing file, whose header the caller has written.
void write_tensors(const std::string& path, const std::vector<TensorSpan>& spans, const NamedTensors& tensors);

}  // namespace dinov3_det
