#include "data/photometric.h"

#include <algorithm>

namespace dinov3_det {

namespace {

using Table = std::array<uint8_t, 256>;

uint8_t truncate(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f)); }

// The luminance of torchvision's rgb_to_grayscale, truncated as there.
uint8_t grey(const uint8_t* pixel) {
  return static_cast<uint8_t>(0.2989f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2]);
}

// What a blend takes of the image and of the other thing: as in torch, the subtraction is done in doubles.
struct Shares {
  float own;
  float other;
};

Shares shares(double factor) { return {static_cast<float>(factor), static_cast<float>(1 - factor)}; }

template <class Change>
void for_each_pixel(const PixelRegion& region, Change change) {
  for (int64_t y = 0; y < region.height; y++) {
    uint8_t* pixel = region.data + y * region.stride;
    for (int64_t x = 0; x < region.width; x++, pixel += 3) change(pixel);
  }
}

// Mixes everything with one value: what brightness (black) and contrast (the mean grey) do.
void blend_with(const PixelRegion& region, float value, double factor) {
  const auto [own, other] = shares(factor);
  Table table;
  for (int level = 0; level < 256; level++) table[level] = truncate(own * static_cast<float>(level) + other * value);
  for_each_pixel(region, [&](uint8_t* pixel) {
    for (int c = 0; c < 3; c++) pixel[c] = table[pixel[c]];
  });
}

void adjust_contrast(const PixelRegion& region, double factor) {
  int64_t sum = 0;
  for_each_pixel(region, [&](const uint8_t* pixel) { sum += grey(pixel); });
  const double mean = static_cast<double>(sum) / static_cast<double>(region.width * region.height);
  blend_with(region, static_cast<float>(mean), factor);
}

void adjust_saturation(const PixelRegion& region, double factor) {
  const auto [own, other] = shares(factor);
  for_each_pixel(region, [own = own, other = other](uint8_t* pixel) {
    const float base = other * grey(pixel);
    for (int c = 0; c < 3; c++) pixel[c] = truncate(own * pixel[c] + base);
  });
}

// A number from -1 to 2 without its whole part: torch's remainder by 1.
float fraction(float value) { return value < 0 ? value + 1 : value >= 1 ? value - 1 : value; }

// The place on the colour circle, in turns. `most` is the largest of r, g and b, `range` how far below it the least
// lies.
float hue_of(float r, float g, float b, float most, float range) {
  const auto below = [&](float channel) { return (most - channel) / range; };
  const float sixths = most == r ? below(b) - below(g) : most == g ? 2 + below(r) - below(b) : 4 + below(g) - below(r);
  return fraction(sixths / 6 + 1);
}

// One pixel to HSV and back, with h turned, as torchvision (and Pillow's Convert.c before it) computes it in floats.
void turn_hue(uint8_t* pixel, float turn, const std::array<float, 256>& units) {
  const float r = units[pixel[0]], g = units[pixel[1]], b = units[pixel[2]];
  const float most = std::max({r, g, b}), range = most - std::min({r, g, b});
  if (range == 0) return;  // grey has no hue
  const float s = range / most;
  const float h = fraction(hue_of(r, g, b, most, range) + turn) * 6;
  const int sector = static_cast<int>(h);
  const float f = h - static_cast<float>(sector);
  // torchvision's convert_image_dtype: all 256 values are equally wide.
  const auto byte = [](float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * (256.0f - 1e-3f)); };
  const uint8_t v = byte(most), p = byte(most * (1 - s));
  const uint8_t x = byte(sector % 2 == 0 ? most * (1 - s * (1 - f)) : most * (1 - s * f));
  const uint8_t by_sector[6][3] = {{v, x, p}, {x, v, p}, {p, v, x}, {p, x, v}, {x, p, v}, {v, p, x}};
  std::copy_n(by_sector[sector % 6], 3, pixel);
}

void adjust_hue(const PixelRegion& region, double turn) {
  std::array<float, 256> units;
  for (int level = 0; level < 256; level++) units[level] = static_cast<float>(level) / 255.0f;
  for_each_pixel(region, [&](uint8_t* pixel) { turn_hue(pixel, static_cast<float>(turn), units); });
}

}  // namespace

void photometric_distort(const PixelRegion& region, const Photometric& choice) {
  if (region.width == 0 || region.height == 0) return;
  if (choice.brightness != 1) blend_with(region, 0, choice.brightness);
  if (choice.contrast != 1 && choice.contrast_first) adjust_contrast(region, choice.contrast);
  if (choice.saturation != 1) adjust_saturation(region, choice.saturation);
  if (choice.hue != 0) adjust_hue(region, choice.hue);
  if (choice.contrast != 1 && !choice.contrast_first) adjust_contrast(region, choice.contrast);
  const auto& [red, green, blue] = choice.channels;
  if (red == 0 && green == 1) return;
  for_each_pixel(region, [&](uint8_t* pixel) {
    const uint8_t old[3] = {pixel[0], pixel[1], pixel[2]};
    pixel[0] = old[red], pixel[1] = old[green], pixel[2] = old[blue];
  });
}

}  // namespace dinov3_det
