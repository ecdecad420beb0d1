#pragma once

#include <cstdint>

namespace dinov3_det {

// How many threads LibTorch computes with from now on, for every detector of the process. OpenMP keeps this number for
// each thread that asks it: call this on the thread that computes.
void set_threads(int64_t threads);

// How many that are, for the thread that asks.
int64_t threads();

}  // namespace dinov3_det
