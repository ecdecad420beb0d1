#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/image_size.h"
#include "data/photometric.h"

namespace dinov3_det {

// A decoded image, RGB, rows packed, owned by the caller.
struct ImageView {
  const uint8_t* data;
  ImageSize size;
  bool flip;
};

// In pixels of an image; it may reach beyond it.
struct Window {
  double x;
  double y;
  double width;
  double height;
};

// In whole pixels, inside of the target.
struct Area {
  int64_t x;
  int64_t y;
  int64_t width;
  int64_t height;
};

// One image of a composition: `window` of it, resized into `area` and mirrored there if the image is to be flipped.
struct Layer {
  ImageView image;
  Window window;
  Area area;
  // Share in the result, over what earlier layers left there; 1 covers it.
  float weight = 1;
  // Of the image alone, not of the fill colour beside it, as when images are distorted before they are padded.
  Photometric photometric;
};

// What one image of a batch is made of: layers on a ground of the fill colour, which also stands where a layer's
// window reaches beyond its image.
struct Composition {
  ImageFrame frame;
  std::array<uint8_t, 3> fill;
  std::vector<Layer> layers;
};

// An image as it is, resized to `size`.
Composition whole_image(const ImageView& image, const ImageSize& size);

// The same with what it fills given, beside which the colour stands.
Composition whole_image(const ImageView& image, const ImageSize& area, const std::array<uint8_t, 3>& fill);

// Writes size.height * size.width * 3 bytes.
void compose(const Composition& composition, const ImageSize& size, uint8_t* pixels);

}  // namespace dinov3_det
