#include "models/drop_path.h"

#include <ATen/ATen.h>

#include <vector>

#include "base/device.h"

namespace dinov3_det {

namespace {

std::vector<int64_t> kept_samples(int64_t samples, double rate, at::Generator& generator) {
  const at::Tensor chances = at::rand({samples}, generator, at::kDouble);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < samples; i++) {
    if (chances.const_data_ptr<double>()[i] >= rate) kept.push_back(i);
  }
  return kept;
}

}  // namespace

at::Tensor drop_path(const at::Tensor& x, double rate, at::Generator& generator, const ScaledBlock& block) {
  std::vector<int64_t> kept = kept_samples(x.size(0), rate, generator);
  double factor = 1 / (1 - rate);
  if (kept.empty()) {  // the block's weights still get gradients, of zero, and are stepped
    kept = {0};
    factor = 0;
  }
  if (static_cast<int64_t>(kept.size()) == x.size(0)) return block(x, factor);
  const at::Tensor places = at::tensor(kept, host_options(at::kLong)).to(x.device(), /*non_blocking=*/true);
  const at::Tensor samples =
      x.permute({0, 2, 3, 1});  // [N, H, W, C], so that parts of it are in channels_last memory too
  const at::Tensor done = block(samples.index_select(0, places).permute({0, 3, 1, 2}), factor);
  return samples.index_copy(0, places, done.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

}  // namespace dinov3_det
