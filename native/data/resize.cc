#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#endif

namespace dinov3_det {

namespace {

constexpr int kWeightBits = 11;
constexpr int64_t kChannels = 3;

// The two source positions that one target position mixes, and their weights.
struct Tap {
  int64_t low;
  int64_t high;
  int32_t low_weight;
  int32_t high_weight;
};

std::vector<Tap> make_taps(const ResizeAxis& axis) {
  std::vector<Tap> taps(axis.target);
  for (int64_t i = 0; i < axis.target; i++) {
    const float position = static_cast<float>((static_cast<double>(i) + 0.5) * axis.step - 0.5 + axis.origin);
    const int64_t low = static_cast<int64_t>(std::floor(position));
    const float fraction = position - static_cast<float>(low);
    constexpr float kOne = 1 << kWeightBits;
    taps[i] = {std::clamp<int64_t>(low, 0, axis.source - 1), std::clamp<int64_t>(low + 1, 0, axis.source - 1),
               static_cast<int32_t>(std::lrint((1.0f - fraction) * kOne)),
               static_cast<int32_t>(std::lrint(fraction * kOne))};
  }
  return taps;
}

// A row resized sideways, in sixteenths less than the weights' scale: 255 * 2048 / 16 fits into 16 bits.
void resize_row(const uint8_t* src, const std::vector<Tap>& taps, int16_t* dst) {
  for (const Tap& tap : taps) {
    for (int64_t c = 0; c < kChannels; c++) {
      const int32_t mixed =
          src[tap.low * kChannels + c] * tap.low_weight + src[tap.high * kChannels + c] * tap.high_weight;
      *dst++ = static_cast<int16_t>(mixed >> 4);
    }
  }
}

#if defined(__SSE2__) || defined(_M_X64)
// The same, the channels of a pixel together. Reads the byte after the row and writes the value after `dst`'s.
void resize_inner_row(const uint8_t* src, const std::vector<Tap>& taps, int16_t* dst) {
  const auto pixel = [src](int64_t x) {
    int32_t bytes;
    std::memcpy(&bytes, src + x * kChannels, sizeof bytes);
    return _mm_cvtsi32_si128(bytes);
  };
  for (const Tap& tap : taps) {
    const __m128i pairs = _mm_unpacklo_epi8(_mm_unpacklo_epi8(pixel(tap.low), pixel(tap.high)), _mm_setzero_si128());
    const __m128i mixed = _mm_madd_epi16(pairs, _mm_set1_epi32(tap.low_weight | tap.high_weight << 16));
    const __m128i sixteenths = _mm_srai_epi32(mixed, 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(dst), _mm_packs_epi32(sixteenths, sixteenths));
    dst += kChannels;
  }
}
#else
constexpr auto resize_inner_row = resize_row;
#endif

// 16 bits throughout, so that the compiler can take eight values or more at a time.
void mix_rows(const int16_t* low, int16_t low_weight, const int16_t* high, int16_t high_weight, uint8_t* dst,
              int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const int16_t from_low = static_cast<int16_t>((low_weight * low[i]) >> 16);
    const int16_t from_high = static_cast<int16_t>((high_weight * high[i]) >> 16);
    dst[i] = static_cast<uint8_t>((from_low + from_high + 2) >> 2);
  }
}

}  // namespace

ResizeAxis whole_axis(int64_t source, int64_t target) {
  return {source, target, 0, static_cast<double>(source) / static_cast<double>(target)};
}

void resize_bilinear(const uint8_t* src, const ResizeAxis& columns, const ResizeAxis& rows, bool flip, uint8_t* dst,
                     int64_t dst_stride) {
  const int64_t dst_width = columns.target;
  std::vector<Tap> column_taps = make_taps(columns);
  if (flip) std::reverse(column_taps.begin(), column_taps.end());
  const std::vector<Tap> row_taps = make_taps(rows);

  // The two source rows in use, resized sideways; going down the image most rows are used again.
  std::vector<int16_t> buffers[2] = {std::vector<int16_t>(dst_width * kChannels + 1),
                                     std::vector<int16_t>(dst_width * kChannels + 1)};
  int64_t held[2] = {-1, -1};
  const auto resized = [&](int64_t row, int64_t other) -> const int16_t* {
    for (int k = 0; k < 2; k++) {
      if (held[k] == row) return buffers[k].data();
    }
    const int slot = held[0] == other ? 1 : 0;
    const bool is_last = row + 1 == rows.source;  // of the image: what follows is not ours to read
    const auto resize = is_last ? resize_row : resize_inner_row;
    resize(src + row * columns.source * kChannels, column_taps, buffers[slot].data());
    held[slot] = row;
    return buffers[slot].data();
  };

  for (int64_t y = 0; y < rows.target; y++) {
    const Tap& tap = row_taps[y];
    const int16_t* low = resized(tap.low, tap.high);
    const int16_t* high = resized(tap.high, tap.low);
    mix_rows(low, static_cast<int16_t>(tap.low_weight), high, static_cast<int16_t>(tap.high_weight),
             dst + y * dst_stride, dst_width * kChannels);
  }
}

}  // namespace dinov3_det
