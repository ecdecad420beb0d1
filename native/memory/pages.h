#pragma once

#include <cstddef>

namespace dinov3_det {

// Whether memory can be had from the system itself, not through malloc, which keeps what it is given back and has it
// for the threads of one arena alone.
bool pages_available();

// So many bytes, zero, at the beginning of a page. Throws c10::Error where memory is short.
char* map_pages(size_t bytes);
void unmap_pages(char* begin, size_t bytes);

}  // namespace dinov3_det
