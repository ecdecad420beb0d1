#include "data/pixel_values.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <utility>

#include "base/levers.h"

namespace dinov3_det {

namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kPixelsPerThread = 32768;

template <class T>
void look_up(const uint8_t* pixels, const T* table, int64_t count, T* out) {
  at::parallel_for(0, count, kPixelsPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t i = kChannels * begin; i < kChannels * end; i += kChannels) {
      for (int64_t c = 0; c < kChannels; c++) out[i + c] = table[kChannels * pixels[i + c] + c];
    }
  });
}

}  // namespace

PixelValues::PixelValues(at::Tensor mean, at::Tensor std, at::ScalarType type)
    : mean_(std::move(mean)), std_(std::move(std)), type_(type) {
  if (!mean_.is_cpu() || lever_disabled("pixel-table")) return;
  const at::Tensor every = at::arange(256, at::kByte).reshape({256, 1, 1, 1}).expand({256, 1, 1, kChannels});
  table_ = compute(every).reshape({256, kChannels}).contiguous();
}

at::Tensor PixelValues::of(const at::Tensor& pixels) const {
  if (!table_.defined()) return compute(pixels);
  const at::Tensor packed = pixels.contiguous();
  const at::Tensor out = at::empty(packed.sizes(), table_.options());
  const int64_t count = packed.numel() / kChannels;
  const auto* bytes = packed.const_data_ptr<uint8_t>();
  if (type_ == at::kBFloat16) {
    look_up(bytes, table_.const_data_ptr<at::BFloat16>(), count, out.data_ptr<at::BFloat16>());
  } else {
    look_up(bytes, table_.const_data_ptr<float>(), count, out.data_ptr<float>());
  }
  return out.permute({0, 3, 1, 2});
}

at::Tensor PixelValues::compute(const at::Tensor& pixels) const {
  const at::Tensor images =
      pixels.to(mean_.device(), /*non_blocking=*/true).permute({0, 3, 1, 2}).to(at::kFloat);  // channels_last
  return (images / 255).sub_(mean_).div_(std_).to(type_);
}

}  // namespace dinov3_det
