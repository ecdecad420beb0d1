#include "base/threads.h"

#include <ATen/Parallel.h>

namespace dinov3_det {

void set_threads(int64_t threads) { at::set_num_threads(static_cast<int>(threads)); }

int64_t threads() { return at::get_num_threads(); }

}  // namespace dinov3_det
