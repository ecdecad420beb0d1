#include "base/device.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>

#include "base/error.h"

namespace dinov3_det {

namespace {
std::atomic<bool> cuda_is_open = false;
}

int64_t cuda_device_count() {
  return c10::impl::hasDeviceGuardImpl(c10::kCUDA) ? c10::impl::getDeviceGuardImpl(c10::kCUDA)->deviceCount() : 0;
}

c10::Device open_device(const std::string& name) {
  const c10::Device device(name);
  if (!device.is_cuda()) return device;
  const int64_t count = cuda_device_count();
  const int64_t index = device.has_index() ? device.index() : 0;
  if (index < 0 || index >= count) {  // a number above 127 wraps around
    throw Error("DEVICE_UNAVAILABLE", "Device \"" + name + "\" is not available: this LibTorch sees " +
                                          std::to_string(count) +
                                          " CUDA devices; use device \"cpu\", or install a CUDA LibTorch and driver "
                                          "(npx dinov3-det doctor)");
  }
  cuda_is_open = true;
  return device;
}

c10::TensorOptions host_options(c10::ScalarType type) {
  return c10::TensorOptions(type).pinned_memory(cuda_is_open.load());
}

}  // namespace dinov3_det
