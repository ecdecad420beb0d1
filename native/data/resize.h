#pragma once

#include <cstdint>

namespace dinov3_det {

// One axis of a resize: target pixel i shows the source position `origin` + (i + 0.5) * `step`, in pixels from the
// source's edge; what lies beyond the source repeats its edge.
struct ResizeAxis {
  int64_t source;
  int64_t target;
  double origin;
  double step;
};

// The axis that fits the whole source into the target.
ResizeAxis whole_axis(int64_t source, int64_t target);

// OpenCV's INTER_LINEAR for 8-bit images, which the article's loader uses: half-pixel centres, no antialiasing,
// 11-bit fixed-point weights. RGB; the source's rows are packed, those of dst begin `dst_stride` bytes apart; `flip`
// mirrors the result left to right.
void resize_bilinear(const uint8_t* src, const ResizeAxis& columns, const ResizeAxis& rows, bool flip, uint8_t* dst,
                     int64_t dst_stride);

}  // namespace dinov3_det
