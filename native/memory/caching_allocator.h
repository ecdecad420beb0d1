#pragma once

#include <cstdint>

namespace dinov3_det {

// Makes LibTorch keep the memory of large CPU tensors for the next ones instead of handing it back to the system, which
// would clear every page anew: a training step spends half its time there. A block that was kept serves tensors down to
// half its size, and the process never holds more than all blocks that were in use at one time. Once per process,
// before the first tensor.
void install_caching_allocator();

// Bytes of large CPU tensors.
struct MemoryUse {
  int64_t live;    // in tensors
  int64_t cached;  // kept for later ones
  int64_t peak;    // the most that `live` has been
};
MemoryUse memory_use();

// Hands what no tensor uses back to the system.
void release_cached_memory();

}  // namespace dinov3_det
