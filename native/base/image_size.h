#pragma once

#include <cstdint>

namespace dinov3_det {

struct ImageSize {
  int64_t width;
  int64_t height;
};

}  // namespace dinov3_det
