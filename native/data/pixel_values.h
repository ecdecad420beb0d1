#pragma once

#include <ATen/core/Tensor.h>

namespace dinov3_det {

// What the values of pixels mean to a model, in its type of computation: (value / 255 - mean) / std. On the CPU they
// are looked up, as each channel has but 256 of them.
class PixelValues {
 public:
  PixelValues() = default;
  // mean and std [1, 3, 1, 1], on the model's device
  PixelValues(at::Tensor mean, at::Tensor std, at::ScalarType type);

  // pixels [N, H, W, 3] uint8, anywhere -> [N, 3, H, W] on the model's device, channels_last
  at::Tensor of(const at::Tensor& pixels) const;

 private:
  at::Tensor compute(const at::Tensor& pixels) const;

  at::Tensor mean_, std_;
  at::ScalarType type_ = at::kFloat;
  at::Tensor table_;  // [256, 3]; none on a GPU or with "pixel-table" disabled
};

}  // namespace dinov3_det
