#pragma once

#include <functional>
#include <string>

namespace dinov3_det {

// Runs `work`; where memory runs out in it, on the CPU or a GPU, throws Error OUT_OF_MEMORY saying what it was and what
// to do. LibTorch, oneDNN and C++ each have an error of their own for it.
void name_out_of_memory(const std::string& what, const std::function<void()>& work);

}  // namespace dinov3_det
