#include "memory/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#if __has_include(<oneapi/dnnl/dnnl_common.hpp>)
#include <oneapi/dnnl/dnnl_common.hpp>
#define DINOV3_DET_ONEDNN_ERRORS
#endif

#include "base/error.h"
#include "memory/caching_allocator.h"

namespace dinov3_det {

namespace {

bool says_out_of_memory(std::string_view message) {
  for (const std::string_view sign : {"can't allocate memory", "out of memory", "not enough memory"}) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

// LibTorch, oneDNN and C++ each have an error of their own for it.
bool means_out_of_memory(const std::exception& error) {
#ifdef DINOV3_DET_ONEDNN_ERRORS
  if (const auto* onednn = dynamic_cast<const dnnl::error*>(&error)) return onednn->status == dnnl_out_of_memory;
#endif
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr || says_out_of_memory(error.what());
}

// -> whether memory sufficed.
bool suffices(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    if (!means_out_of_memory(error)) throw;
  }
  release_cached_memory();
  return false;
}

}  // namespace

void with_enough_memory(const std::string& what, const std::function<void()>& work) {
  if (suffices(work) || suffices(work)) return;
  throw Error("OUT_OF_MEMORY", "Memory ran out in " + what +
                                   ". The weights are as they were; use a smaller batch or smaller images, or close "
                                   "other programs");
}

}  // namespace dinov3_det
