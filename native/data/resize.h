#pragma once

#include <cstdint>

namespace dinov3_det {

// OpenCV's INTER_LINEAR for 8-bit pictures, which the article's loader uses: half-pixel centres, no antialiasing,
// 11-bit fixed-point weights. RGB, rows packed; `flip` mirrors the result left to right. dst holds dst_height *
// dst_width * 3 bytes.
void resize_bilinear(const uint8_t* src, int64_t src_width, int64_t src_height, uint8_t* dst, int64_t dst_width,
                     int64_t dst_height, bool flip);

}  // namespace dinov3_det
