#include "io/tensor_file.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <fstream>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace dinov3_det {

namespace {

const std::vector<std::pair<std::string, at::ScalarType>> kDtypes = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
    {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}};

at::ScalarType dtype_of(const TensorSpan& span) {
  for (const auto& [name, dtype] : kDtypes) {
    if (name == span.dtype) return dtype;
  }
  throw Error("WEIGHTS_INVALID", "Tensor \"" + span.name + "\" has the unsupported type " + span.dtype);
}

std::unordered_map<std::string, at::Tensor> by_name(const NamedTensors& tensors) {
  std::unordered_map<std::string, at::Tensor> map;
  for (const NamedTensor& entry : tensors) map.emplace(entry.name, entry.tensor);
  return map;
}

at::Tensor find(const std::unordered_map<std::string, at::Tensor>& tensors, const TensorSpan& span) {
  const auto found = tensors.find(span.name);
  if (found == tensors.end()) throw Error("WEIGHTS_MISMATCH", "This model has no tensor \"" + span.name + "\"");
  at::Tensor tensor = found->second;
  if (span.row && (tensor.dim() == 0 || *span.row >= tensor.size(0))) {
    throw Error("WEIGHTS_MISMATCH", "Tensor \"" + span.name + "\" has no row " + std::to_string(*span.row));
  }
  if (span.row) tensor = tensor.select(0, *span.row);
  if (tensor.sizes() != at::IntArrayRef(span.shape)) {
    throw Error("WEIGHTS_MISMATCH", "Tensor \"" + span.name + "\" has shape " + c10::str(at::IntArrayRef(span.shape)) +
                                        " in the file but " + c10::str(tensor.sizes()) + " in this model");
  }
  return tensor;
}

}  // namespace

std::string dtype_name(at::ScalarType dtype) {
  for (const auto& [name, known] : kDtypes) {
    if (known == dtype) return name;
  }
  TORCH_CHECK(false, "no safetensors name for ", dtype);
}

void read_tensors(const std::string& path, const std::vector<TensorSpan>& spans, const NamedTensors& tensors) {
  const c10::NoGradGuard no_grad;
  const auto targets = by_name(tensors);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("WEIGHTS_NOT_FOUND", "Cannot open " + path);
  for (const TensorSpan& span : spans) {
    const at::Tensor target = find(targets, span);
    const at::ScalarType dtype = dtype_of(span);
    const bool in_place = target.is_cpu() && target.is_contiguous() && target.scalar_type() == dtype;
    const at::Tensor buffer = in_place ? target : at::empty(span.shape, dtype);
    TORCH_CHECK(static_cast<int64_t>(buffer.nbytes()) == span.bytes, "span of \"", span.name, "\" has the wrong size");
    file.seekg(span.offset);
    file.read(static_cast<char*>(buffer.data_ptr()), span.bytes);
    if (!file) throw Error("WEIGHTS_INVALID", path + " ends before tensor \"" + span.name + "\" does");
    if (in_place) {
      target.unsafeGetTensorImpl()->bump_version();  // as copy_ does: who keeps a copy must know
    } else {
      target.copy_(buffer);
    }
  }
}

void write_tensors(const std::string& path, const std::vector<TensorSpan>& spans, const NamedTensors& tensors) {
  const c10::NoGradGuard no_grad;
  const auto sources = by_name(tensors);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  if (!file) throw Error("OUTPUT_NOT_WRITABLE", "Cannot open " + path + " for writing");
  for (const TensorSpan& span : spans) {
    const at::Tensor source = find(sources, span).to(at::kCPU, dtype_of(span)).contiguous();
    TORCH_CHECK(static_cast<int64_t>(source.nbytes()) == span.bytes, "span of \"", span.name, "\" has the wrong size");
    file.seekp(span.offset);
    file.write(static_cast<const char*>(source.data_ptr()), span.bytes);
  }
  file.flush();
  if (!file) throw Error("OUTPUT_NOT_WRITABLE", "Writing " + path + " failed; is the disk full?");
}

}  // namespace dinov3_det
