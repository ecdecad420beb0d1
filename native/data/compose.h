#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/image_size.h"
#include "data/photometric.h"

namespace dinov3_det {

// A decoded picture, RGB, rows packed, owned by the caller.
struct ImageView {
  const uint8_t* data;
  ImageSize size;
  bool flip;
};

// In pixels of a picture; it may reach beyond it.
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

// One picture of a composition: `window` of it, resized into `area` and mirrored there if the picture is to be flipped.
struct Layer {
  ImageView image;
  Window window;
  Area area;
  // Share in the result, over what earlier layers left there; 1 covers it.
  float weight = 1;
  // Of the picture alone, not of the fill colour beside it, as when pictures are distorted before they are padded.
  Photometric photometric;
};

// What one picture of a batch is made of: layers on a ground of the fill colour, which also stands where a layer's
// window reaches beyond its picture.
struct Composition {
  ImageSize original;  // to whose pixels detections are scaled
  std::array<uint8_t, 3> fill;
  std::vector<Layer> layers;
};

// A picture as it is, resized to `size`.
Composition whole_picture(const ImageView& image, const ImageSize& size);

// Writes size.height * size.width * 3 bytes.
void compose(const Composition& composition, const ImageSize& size, uint8_t* pixels);

}  // namespace dinov3_det
