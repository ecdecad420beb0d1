#include "ops/ranking.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

namespace dinov3_det {

uint32_t falling_key(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 + 0 is 0
  constexpr uint32_t kSign = 0x80000000;
  return bits & kSign ? bits : ~bits & ~kSign;
}

// A radix sort: by the lowest digit first, each pass keeping the order of the one before.
void sort_by_key(std::vector<int32_t>& positions, const std::vector<uint32_t>& keys) {
  constexpr int kDigitBits = 8;
  if (positions.size() < 2) return;
  std::vector<int32_t> sorted(positions.size());
  for (int shift = 0; shift < 32; shift += kDigitBits) {
    const auto digit = [&](int32_t position) { return keys[position] >> shift & ((1 << kDigitBits) - 1); };
    std::array<int32_t, 1 << kDigitBits> begins{};
    for (int32_t position : positions) begins[digit(position)]++;
    if (std::ranges::find(begins, static_cast<int32_t>(positions.size())) != begins.end()) continue;
    std::exclusive_scan(begins.begin(), begins.end(), begins.begin(), 0);
    for (int32_t position : positions) sorted[begins[digit(position)]++] = position;
    positions.swap(sorted);
  }
}

std::vector<int32_t> by_falling_score(const std::vector<float>& scores) {
  std::vector<uint32_t> keys(scores.size());
  std::ranges::transform(scores, keys.begin(), falling_key);
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  sort_by_key(order, keys);
  return order;
}

}  // namespace dinov3_det
