#pragma once

#include <functional>
#include <string>

namespace dinov3_det {

// Runs `work`. Where memory runs out in it, on the CPU or a GPU, runs it once more with all that was kept for later
// tensors handed back, as oneDNN's own memory may have been all that was missing; then throws Error OUT_OF_MEMORY
// saying what it was and what to do. `work` that throws has to leave everything as it was.
void with_enough_memory(const std::string& what, const std::function<void()>& work);

}  // namespace dinov3_det
