#include "models/drop_path.h"

#include <ATen/ATen.h>

namespace dinov3_det {

at::Tensor drop_path(const at::Tensor& x, double rate, at::Generator& generator, const ScaledBlock& block) {
  at::Tensor kept = at::nonzero(at::rand({x.size(0)}, generator, at::kDouble) >= rate).flatten();
  double factor = 1 / (1 - rate);
  if (kept.size(0) == 0) {  // the block's weights still get gradients, of zero, and are stepped
    kept = at::zeros({1}, at::kLong);
    factor = 0;
  }
  if (kept.size(0) == x.size(0)) return block(x, factor);
  const at::Tensor places = kept.to(x.device());
  const at::Tensor samples =
      x.permute({0, 2, 3, 1});  // [N, H, W, C], so that parts of it are in channels_last memory too
  const at::Tensor done = block(samples.index_select(0, places).permute({0, 3, 1, 2}), factor);
  return samples.index_copy(0, places, done.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

}  // namespace dinov3_det
