#pragma once

#include <compare>
#include <cstdint>
#include <optional>

namespace dinov3_det {

struct ImageSize {
  int64_t width;
  int64_t height;

  auto operator<=>(const ImageSize&) const = default;
};

// An image in an image of a batch: its own size, to whose pixels detections go back, and what it fills there, from the
// upper left corner on; all of it where there is none.
struct ImageFrame {
  ImageSize original;
  std::optional<ImageSize> area = {};
};

}  // namespace dinov3_det
