#pragma once

#include <array>
#include <cstdint>

namespace dinov3_det {

// Pixels of a larger image, RGB: rows begin `stride` bytes apart.
struct PixelRegion {
  uint8_t* data;
  int64_t stride;
  int64_t width;
  int64_t height;
};

// Factors as torchvision's adjust_* functions take them; these values change nothing.
struct Photometric {
  double brightness = 1;
  double contrast = 1;
  double saturation = 1;
  double hue = 0;  // turns of the colour circle, -0.5 to 0.5
  // Before saturation and hue, or after them.
  bool contrast_first = true;
  // Channel i of the result is channel channels[i].
  std::array<uint8_t, 3> channels{0, 1, 2};
};

// torchvision's RandomPhotometricDistort with its choices made: brightness, contrast, saturation, hue, contrast and
// channels in this order, values truncated to 8 bits after each.
void photometric_distort(const PixelRegion& region, const Photometric& choice);

}  // namespace dinov3_det
