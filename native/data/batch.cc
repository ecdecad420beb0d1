#include "data/batch.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/device.h"

namespace dinov3_det {

namespace {

// Pads to the image with the most objects; a padding box is the unit square, so that its arithmetic stays finite.
Targets pad(const Objects& objects) {
  const int64_t images = static_cast<int64_t>(objects.counts.size());
  const int64_t most = images == 0 ? 0 : *std::max_element(objects.counts.begin(), objects.counts.end());
  at::Tensor boxes = at::empty({images, most, 4}, host_options(at::kFloat));
  boxes.copy_(at::tensor({0.0f, 0.0f, 1.0f, 1.0f}));
  at::Tensor labels = at::zeros({images, most}, host_options(at::kLong));
  at::Tensor counts = at::zeros({images}, host_options(at::kLong));
  float* box = boxes.data_ptr<float>();
  int64_t* label = labels.data_ptr<int64_t>();
  size_t row = 0;
  for (int64_t i = 0; i < images; i++) {
    counts.data_ptr<int64_t>()[i] = objects.counts[i];
    for (int64_t j = 0; j < objects.counts[i]; j++, row++) {
      std::copy_n(&objects.boxes[4 * row], 4, box + 4 * (i * most + j));
      label[i * most + j] = objects.labels[row];
    }
  }
  return {boxes, labels, counts};
}

}  // namespace

std::string describe(const Batch& batch) {
  const at::IntArrayRef shape = batch.pixels.sizes();
  return "with a batch of " + std::to_string(shape[0]) + " images of " + std::to_string(shape[2]) + "x" +
         std::to_string(shape[1]);
}

Batch make_batch(const ImageSize& size, const std::vector<Composition>& compositions, const Objects& objects) {
  Batch batch;
  batch.pixels =
      at::empty({static_cast<int64_t>(compositions.size()), size.height, size.width, 3}, host_options(at::kByte));
  uint8_t* pixels = batch.pixels.data_ptr<uint8_t>();
  for (const Composition& composition : compositions) {
    compose(composition, size, pixels);
    pixels += size.height * size.width * 3;
    batch.frames.push_back(composition.frame);
  }
  batch.targets = pad(objects);
  return batch;
}

}  // namespace dinov3_det
