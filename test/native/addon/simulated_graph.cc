#include "addon/simulated_graph.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "train/device_graph.h"

namespace dinov3_det {

namespace {

// Below autograd, so that backward passes are seen, and above the choice of a backend, so that new tensors are.
constexpr auto kRecordingKey = c10::DispatchKey::Fake;

using torch::jit::Stack;

void for_tensors(const c10::IValue& value, const std::function<void(const at::Tensor&)>& visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) visit(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) for_tensors(element, visit);
  }
}

std::vector<at::Tensor> tensors_of(const Stack& values) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& value : values) for_tensors(value, [&](const at::Tensor& t) { tensors.push_back(t); });
  return tensors;
}

// The same memory from now on, whatever becomes of the tensors themselves.
c10::IValue in_place(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? tensor.variable_data() : tensor;
  }
  if (!value.isList()) return value;
  c10::List<c10::IValue> list = value.toList().copy();
  for (size_t i = 0; i < list.size(); i++) list.set(i, in_place(list.get(i)));
  return list;
}

const c10::StorageImpl* memory_of(const at::Tensor& tensor) { return tensor.storage().unsafeGetStorageImpl(); }

class SimulatedGraph : public DeviceGraph {
 public:
  explicit SimulatedGraph(SimulatedGraphs& graphs) : graphs_(graphs) {}

  static thread_local SimulatedGraph* recording;

  void begin() override {
    fail_at("begin");
    recording = this;
    included_.emplace(kRecordingKey);
  }

  void end() override {
    included_.reset();
    recording = nullptr;
    graphs_.read.clear();
    for (const Call& call : calls_) {
      for (const at::Tensor& tensor : call.results) {
        if (!outside_places_.contains(memory_of(tensor)))
          std::memset(tensor.storage().mutable_data(), 0xff, tensor.storage().nbytes());
      }
    }
    for (const auto& [tensor, bytes] : outside_) {
      std::memcpy(tensor.storage().mutable_data(), bytes.data(), bytes.size());
      graphs_.read.push_back(tensor);
    }
    fail_at("end");
    change();
    graphs_.recorded++;
  }

  void replay() override {
    fail_at("replay");
    graphs_.replayed++;
    const c10::NoGradGuard no_grad;
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (const Call& call : calls_) {
      Stack stack = call.arguments;
      call.op.callBoxed(&stack);
      const std::vector<at::Tensor> results = tensors_of(stack);
      for (size_t i = 0; i < results.size(); i++) {
        if (results[i].const_data_ptr() != call.results[i].const_data_ptr()) call.results[i].copy_(results[i]);
      }
    }
  }

  // Does it, too: what follows has to have shapes. end() takes that back.
  void record(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
    const std::string name = op.operator_name().name;
    TORCH_CHECK(name != "aten::_local_scalar_dense" && name != "aten::nonzero",
                "operation not permitted when stream is capturing: ", name);
    fail_at(name);
    Call call{op, {}, {}};
    for (size_t i = stack->size() - op.schema().arguments().size(); i < stack->size(); i++) {
      call.arguments.push_back(in_place((*stack)[i]));
    }
    for (const at::Tensor& tensor : tensors_of(call.arguments)) keep_outside(tensor);
    {
      const c10::impl::ExcludeDispatchKeyGuard excluded(kRecordingKey);
      op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kRecordingKey), stack);
    }
    call.results = tensors_of(Stack(stack->end() - static_cast<int64_t>(op.schema().returns().size()), stack->end()));
    for (const at::Tensor& tensor : call.results) {
      if (!outside_places_.contains(memory_of(tensor))) made_.insert(memory_of(tensor));
    }
    calls_.push_back(std::move(call));
  }

 private:
  struct Call {
    c10::OperatorHandle op;
    Stack arguments;
    std::vector<at::Tensor> results;
  };

  // As it was when it was first seen. A number that a kernel is given with its arguments is part of the graph.
  void keep_outside(const at::Tensor& tensor) {
    if (tensor.unsafeGetTensorImpl()->is_wrapped_number() || made_.contains(memory_of(tensor)) ||
        !outside_places_.insert(memory_of(tensor)).second) {
      return;
    }
    const auto* bytes = static_cast<const char*>(tensor.storage().data());
    outside_.emplace_back(tensor, std::string(bytes, tensor.storage().nbytes()));
  }

  void change() {
    std::erase_if(calls_, [&](const Call& call) { return call.op.operator_name().name == graphs_.without; });
    if (!graphs_.keeps_images) return;
    for (Call& call : calls_) {
      for (c10::IValue& argument : call.arguments) {
        if (argument.isTensor() && argument.toTensor().scalar_type() == at::kByte)
          argument = argument.toTensor().clone();
      }
    }
  }

  void fail_at(const std::string& moment) const {
    TORCH_CHECK(graphs_.failure != moment, "no graph today (", moment, ")");
  }

  SimulatedGraphs& graphs_;
  std::optional<c10::impl::IncludeDispatchKeyGuard> included_;
  std::vector<Call> calls_;
  std::vector<std::pair<at::Tensor, std::string>> outside_;
  std::unordered_set<const c10::StorageImpl*> outside_places_, made_;
};

thread_local SimulatedGraph* SimulatedGraph::recording = nullptr;

void record(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  SimulatedGraph::recording->record(op, keys, stack);
}

struct Registrations {
  explicit Registrations(SimulatedGraphs& graphs)
      : maker(torch::Library::FRAGMENT, "dinov3_det", std::nullopt, __FILE__, __LINE__),
        recorder(torch::Library::IMPL, "_", kRecordingKey, __FILE__, __LINE__) {
    maker.def("make_cpu_graph() -> int",
              [&graphs] { return reinterpret_cast<int64_t>(static_cast<DeviceGraph*>(new SimulatedGraph(graphs))); });
    recorder.fallback(torch::CppFunction::makeFromBoxedFunction<&record>());
  }
  torch::Library maker, recorder;
};

}  // namespace

void use_simulated_graphs(SimulatedGraphs* graphs) {
  static std::unique_ptr<Registrations> registrations;
  registrations.reset();
  if (graphs != nullptr) registrations = std::make_unique<Registrations>(*graphs);
}

}  // namespace dinov3_det
