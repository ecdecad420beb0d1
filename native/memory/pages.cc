#include "memory/pages.h"

#include <c10/util/Exception.h>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#define DINOV3_DET_PAGES
#endif

namespace dinov3_det {

#if defined(DINOV3_DET_PAGES)

bool pages_available() { return true; }

char* map_pages(size_t bytes) {
  void* const begin = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TORCH_CHECK(begin != MAP_FAILED, "can't allocate memory: ", bytes, " bytes");
  return static_cast<char*>(begin);
}

void unmap_pages(char* begin, size_t bytes) { ::munmap(begin, bytes); }

#else

bool pages_available() { return false; }
char* map_pages(size_t) { TORCH_CHECK(false, "there are no pages to be had from this system"); }
void unmap_pages(char*, size_t) {}

#endif

}  // namespace dinov3_det
