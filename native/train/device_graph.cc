#include "train/device_graph.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

namespace dinov3_det {

namespace {

std::optional<c10::OperatorHandle> find_operator(c10::DeviceType device) {
  return c10::Dispatcher::singleton().findSchema({graph_operator(device), ""});
}

}  // namespace

std::string graph_operator(c10::DeviceType device) {
  return "dinov3_det::make_" + c10::DeviceTypeName(device, /*lower_case=*/true) + "_graph";
}

std::string graph_missing(c10::DeviceType device) {
  if (find_operator(device)) return "";
  return "this build has no graphs for " + c10::DeviceTypeName(device, /*lower_case=*/true) +
         ": they need a build from source (npx dinov3-det build) beside a CUDA LibTorch and CUDA's headers";
}

std::unique_ptr<DeviceGraph> make_graph(c10::DeviceType device) {
  const std::optional<c10::OperatorHandle> found = find_operator(device);
  TORCH_CHECK(found, graph_missing(device));
  return std::unique_ptr<DeviceGraph>(reinterpret_cast<DeviceGraph*>(found->typed<int64_t()>().call()));
}

}  // namespace dinov3_det
