#include "kernels/linear.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace dinov3_det {

namespace {

// LibTorch gives a 1x1 convolution to oneDNN from 16 images on, and one of fewer only where it may use several
// threads.
int64_t image_count(int64_t rows) {
  for (int64_t count = 16; count <= 64; count++) {
    if (rows % count == 0) return count;
  }
  return 1;
}

// [R, C] as images [n, C, R / n, 1] in channels_last memory: a view.
at::Tensor as_images(const at::Tensor& rows) {
  const int64_t images = image_count(rows.size(0));
  return rows.reshape({images, rows.size(0) / images, 1, rows.size(1)}).permute({0, 3, 1, 2});
}

at::Tensor from_images(const at::Tensor& images) {
  return images.permute({0, 2, 3, 1}).reshape({images.size(0) * images.size(2), images.size(1)});
}

at::Tensor as_kernel(const at::Tensor& weight) { return weight.unsqueeze(2).unsqueeze(3); }

}  // namespace

at::Tensor linear(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  if (rows.scalar_type() != at::kFloat) return at::linear(rows, weight, bias);
  return from_images(at::conv2d(as_images(rows), as_kernel(weight), bias));
}

at::Tensor linear_weight_gradient(const at::Tensor& gradient, const at::Tensor& rows) {
  if (gradient.scalar_type() != at::kFloat) return at::mm(gradient.t(), rows);
  constexpr int64_t kOne[] = {1, 1}, kZero[] = {0, 0};
  const at::Tensor shape = at::empty({}, rows.options()).expand({gradient.size(1), rows.size(1)});
  const at::Tensor weight_gradient = std::get<1>(
      at::convolution_backward(as_images(gradient), as_images(rows), as_kernel(shape), c10::nullopt, kOne, kZero, kOne,
                               /*transposed=*/false, kZero, /*groups=*/1, {false, true, false}));
  return weight_gradient.reshape({gradient.size(1), rows.size(1)});
}

bool linear_kernels_usable(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return x.is_cpu() && (type == at::kFloat || type == at::kBFloat16) && at::hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

}  // namespace dinov3_det
