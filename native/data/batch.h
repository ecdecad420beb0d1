#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/image_size.h"
#include "data/compose.h"
#include "data/targets.h"

namespace dinov3_det {

// Ground truth of a batch, image after image: counts[i] objects belong to image i.
struct Objects {
  std::vector<int32_t> counts;
  std::vector<float> boxes;     // xyxy in pixels of the batch's size, already flipped where the image is
  std::vector<int32_t> labels;  // 1..K-1
};

// Images of one size, ready for a model, with their ground truth (none for detection). On the host, as host_options
// has it.
struct Batch {
  at::Tensor pixels;  // [N, H, W, 3] uint8 RGB
  std::vector<ImageFrame> frames;
  Targets targets;
};

// "with a batch of 8 images of 640x640"
std::string describe(const Batch& batch);

// Composes every image in `size`. Runs beside the native lane, on the caller's thread alone.
Batch make_batch(const ImageSize& size, const std::vector<Composition>& compositions, const Objects& objects);

}  // namespace dinov3_det
