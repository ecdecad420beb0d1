#pragma once

#include <napi.h>

#include <vector>

#include "data/batch.h"

namespace dinov3_det {

// Builds a batch on one of libuv's threads, beside the native lane, so that the next batch is ready when a step ends.
// Holds on to the images' JavaScript buffers meanwhile.
Napi::Value start_batch_worker(Napi::Env env, const Napi::Object& spec);

}  // namespace dinov3_det
