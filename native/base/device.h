#pragma once

#include <c10/core/Device.h>
#include <c10/core/TensorOptions.h>

#include <cstdint>
#include <string>

namespace dinov3_det {

// CUDA devices that this LibTorch and this machine have; 0 for a CPU build. Asked through the dispatcher, so nothing of
// CUDA is linked.
int64_t cuda_device_count();

// "cpu", "cuda" or "cuda:N". Throws DEVICE_UNAVAILABLE for one that is not there.
c10::Device open_device(const std::string& name);

// For tensors on the host that go to the device: in pinned memory once a CUDA device is open, from where a copy need
// not be waited for. Before that pinning would start CUDA.
c10::TensorOptions host_options(c10::ScalarType type);

}  // namespace dinov3_det
