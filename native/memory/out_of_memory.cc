#include "memory/out_of_memory.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "error.h"
#include "memory/caching_allocator.h"

namespace dinov3_det {

namespace {

[[noreturn]] void fail(const std::string& what) {
  release_cached_memory();
  throw Error("OUT_OF_MEMORY", "Memory ran out in " + what +
                                   ". The weights are as they were; use a smaller batch or smaller pictures, or close "
                                   "other programs");
}

bool means_out_of_memory(std::string_view message) {
  for (const std::string_view sign : {"can't allocate memory", "out of memory", "not enough memory"}) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

void name_out_of_memory(const std::string& what, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    fail(what);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    if (means_out_of_memory(error.what())) fail(what);
    throw;
  }
}

}  // namespace dinov3_det
