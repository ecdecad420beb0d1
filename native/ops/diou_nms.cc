#include "ops/diou_nms.h"

#include <algorithm>

#include "ops/with_avx2.h"

namespace dinov3_det {

WITH_AVX2 void suppress_by_diou(ClassBoxes& boxes, size_t best, float threshold) {
  const size_t count = boxes.suppressed.size();
  const float *x1 = boxes.x1.data(), *y1 = boxes.y1.data(), *x2 = boxes.x2.data(), *y2 = boxes.y2.data();
  const float* area = boxes.area.data();
  uint32_t* suppressed = boxes.suppressed.data();
  const float left = x1[best], top = y1[best], right = x2[best], bottom = y2[best], own = area[best];
  for (size_t i = best + 1; i < count; i++) {
    const float width = std::max(0.0f, std::min(right, x2[i]) - std::max(left, x1[i]));
    const float height = std::max(0.0f, std::min(bottom, y2[i]) - std::max(top, y1[i]));
    const float intersection = width * height;
    const float across = std::max(right, x2[i]) - std::min(left, x1[i]);
    const float down = std::max(bottom, y2[i]) - std::min(top, y1[i]);
    const float x = (left + right - x1[i] - x2[i]) / 2, y = (top + bottom - y1[i] - y2[i]) / 2;
    const float apart = (x * x + y * y) / (across * across + down * down);
    suppressed[i] |= intersection / (own + area[i] - intersection) - apart > threshold;
  }
}

}  // namespace dinov3_det
