#pragma once

#include <cstdint>
#include <vector>

namespace dinov3_det {

// Grows as the score falls; 0 and -0 are equal, as they are to `>`.
uint32_t falling_key(float score);

// Sorts positions by their keys, equal keys in the order given, in linear time. keys[position] belongs to a position.
void sort_by_key(std::vector<int32_t>& positions, const std::vector<uint32_t>& keys);

// The positions of scores, the highest first, equal ones in the order given.
std::vector<int32_t> by_falling_score(const std::vector<float>& scores);

}  // namespace dinov3_det
