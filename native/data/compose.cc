#include "data/compose.h"

#include <algorithm>
#include <cmath>

#include "data/resize.h"

namespace dinov3_det {

namespace {

constexpr int64_t kChannels = 3;

// The target pixels whose centres lie on the image, and how they are resized from it.
struct VisibleAxis {
  int64_t begin;
  ResizeAxis resize;
};

VisibleAxis visible_part(double origin, double extent, int64_t source, int64_t target) {
  const double step = extent / static_cast<double>(target);
  // The first target pixel whose centre lies at `position` or after it.
  const auto first_at = [&](double position) {
    const double first = std::ceil((position - origin) / step - 0.5);
    return static_cast<int64_t>(std::clamp(first, 0.0, static_cast<double>(target)));
  };
  const int64_t begin = first_at(0), end = std::max(begin, first_at(static_cast<double>(source)));
  return {begin, {source, end - begin, origin + static_cast<double>(begin) * step, step}};
}

void fill_region(const PixelRegion& region, const std::array<uint8_t, 3>& fill) {
  for (int64_t y = 0; y < region.height; y++) {
    uint8_t* pixel = region.data + y * region.stride;
    for (int64_t x = 0; x < region.width; x++, pixel += kChannels) std::copy_n(fill.data(), kChannels, pixel);
  }
}

// Covers the region: the image where the window shows it, the fill colour elsewhere.
void paint(const Layer& layer, const std::array<uint8_t, 3>& fill, const PixelRegion& region) {
  const auto& [image, window, area, weight, photometric] = layer;
  const VisibleAxis columns = visible_part(window.x, window.width, image.size.width, region.width);
  const VisibleAxis rows = visible_part(window.y, window.height, image.size.height, region.height);
  const int64_t width = columns.resize.target, height = rows.resize.target;
  if (width < region.width || height < region.height) fill_region(region, fill);
  if (width == 0 || height == 0) return;
  const int64_t left = image.flip ? region.width - columns.begin - width : columns.begin;
  const PixelRegion visible{region.data + rows.begin * region.stride + left * kChannels, region.stride, width, height};
  resize_bilinear(image.data, columns.resize, rows.resize, image.flip, visible.data, visible.stride);
  photometric_distort(visible, photometric);
}

void mix_in(const PixelRegion& over, float weight, const PixelRegion& target) {
  for (int64_t y = 0; y < target.height; y++) {
    const uint8_t* from = over.data + y * over.stride;
    uint8_t* to = target.data + y * target.stride;
    for (int64_t i = 0; i < target.width * kChannels; i++) {
      to[i] = static_cast<uint8_t>(std::lround(weight * from[i] + (1 - weight) * to[i]));
    }
  }
}

Layer whole_layer(const ImageView& image, const ImageSize& area) {
  const Window window{0, 0, static_cast<double>(image.size.width), static_cast<double>(image.size.height)};
  return {image, window, {0, 0, area.width, area.height}, 1, {}};
}

bool covers(const Area& area, const ImageSize& size) { return area.width == size.width && area.height == size.height; }

}  // namespace

Composition whole_image(const ImageView& image, const ImageSize& size) {
  return {{image.size}, {}, {whole_layer(image, size)}};
}

Composition whole_image(const ImageView& image, const ImageSize& area, const std::array<uint8_t, 3>& fill) {
  return {{image.size, area}, fill, {whole_layer(image, area)}};
}

void compose(const Composition& composition, const ImageSize& size, uint8_t* pixels) {
  const auto& [frame, fill, layers] = composition;
  const int64_t stride = size.width * kChannels;
  if (layers.empty() || layers[0].weight < 1 || !covers(layers[0].area, size)) {
    fill_region({pixels, stride, size.width, size.height}, fill);
  }
  std::vector<uint8_t> scratch;
  for (const Layer& layer : layers) {
    const auto& [x, y, width, height] = layer.area;
    const PixelRegion target{pixels + y * stride + x * kChannels, stride, width, height};
    if (layer.weight == 1) {
      paint(layer, fill, target);
      continue;
    }
    scratch.resize(width * height * kChannels);
    const PixelRegion over{scratch.data(), width * kChannels, width, height};
    paint(layer, fill, over);
    mix_in(over, layer.weight, target);
  }
}

}  // namespace dinov3_det
