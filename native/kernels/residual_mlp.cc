#include "kernels/residual_mlp.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/linear.h"
#include "levers.h"

namespace dinov3_det {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Positions at a time: enough for a matrix product to run at full speed, few enough for a tile to stay in the cache.
constexpr int64_t kLargestTile = 1600;
constexpr int64_t kTileStep = 16;  // oneDNN's block, and what linear() wants
constexpr size_t kTilesFrom = 7;   // place of the first tile among the saved tensors

// [N, C, H, W] in channels_last memory <-> its positions as rows [N * H * W, C], both views.
at::Tensor as_rows(const at::Tensor& map) { return map.permute({0, 2, 3, 1}).reshape({-1, map.size(1)}); }

at::Tensor as_map(const at::Tensor& rows, const at::Tensor& like) {
  return rows.reshape({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

// Positions [0, rows) in tiles of one size, the last one shorter. Few positions are shared out among the threads.
struct Tiles {
  explicit Tiles(int64_t row_count) : rows(row_count) {
    const int64_t share = (rows + at::get_num_threads() - 1) / at::get_num_threads();
    size = std::min(kLargestTile, (share + kTileStep - 1) / kTileStep * kTileStep);
    count = (rows + size - 1) / size;
  }
  at::Tensor of(const at::Tensor& tensor, int64_t tile) const {
    return tensor.narrow(0, tile * size, std::min(size, rows - tile * size));
  }
  int64_t rows, size, count;
};

// Each thread takes whole tiles through all layers: no thread waits for another until the end.
template <class Work>
void parallel_parts(int64_t count, const Work& work) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (int64_t i = begin; i < end; i++) work(i);
  });
}

struct Norm {
  at::Tensor rows, mean, rstd;
};

// The weights stay float32 beside bfloat16 rows: the kernel keeps its statistics in float32 anyway.
Norm normalise(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  auto [out, mean, rstd] = at::native_layer_norm(rows, weight.sizes(), weight, bias, eps);
  return {std::move(out), std::move(mean), std::move(rstd)};
}

// x and y [R, C] -> [R, C]. Where `hidden` is given it gets each tile's [tile, 4C] before the activation.
at::Tensor forward_rows(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps,
                        variable_list* hidden) {
  const at::ScalarType type = x.scalar_type();
  const at::Tensor expand = mlp.expand_weight.to(type), expand_bias = mlp.expand_bias.to(type);
  const at::Tensor reduce = mlp.reduce_weight.to(type), reduce_bias = mlp.reduce_bias.to(type);
  const at::Tensor gamma = mlp.gamma.to(type);
  const at::Tensor out = at::empty_like(x);
  const Tiles tiles(x.size(0));
  if (hidden != nullptr) hidden->resize(kTilesFrom + tiles.count);
  parallel_parts(tiles.count, [&](int64_t i) {
    const Norm norm = normalise(tiles.of(y, i), mlp.norm_weight, mlp.norm_bias, eps);
    const at::Tensor expanded = linear(norm.rows, expand, expand_bias);
    const at::Tensor active = at::gelu(expanded);
    if (hidden != nullptr) (*hidden)[kTilesFrom + i] = expanded;
    at::Tensor tile = tiles.of(out, i);
    at::addcmul_out(tile, tiles.of(x, i), linear(active, reduce, reduce_bias), gamma);
  });
  return out;
}

// What the tiles of one part add up to, float32.
struct Sums {
  at::Tensor norm_weight, expand, expand_bias, reduce, out;

  void add(const Sums& other) {
    norm_weight.add_(other.norm_weight);
    expand.add_(other.expand);
    expand_bias.add_(other.expand_bias);
    reduce.add_(other.reduce);
    out.add_(other.out);
  }
};

class TiledResidualMlp : public torch::autograd::Function<TiledResidualMlp> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& y,
                            const at::Tensor& norm_weight, const at::Tensor& norm_bias, const at::Tensor& expand_weight,
                            const at::Tensor& expand_bias, const at::Tensor& reduce_weight,
                            const at::Tensor& reduce_bias, const at::Tensor& gamma, double eps) {
    variable_list saved = {y, norm_weight, norm_bias, expand_weight, reduce_weight, reduce_bias, gamma};
    const ResidualMlp mlp{norm_weight, norm_bias, expand_weight, expand_bias, reduce_weight, reduce_bias, gamma};
    at::Tensor out = forward_rows(x, y, mlp, eps, &saved);
    context->save_for_backward(std::move(saved));
    context->saved_data["eps"] = eps;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &y = saved[0], &norm_weight = saved[1], &norm_bias = saved[2], &expand_weight = saved[3],
                     &reduce_weight = saved[4], &reduce_bias = saved[5], &gamma = saved[6];
    const double eps = context->saved_data["eps"].toDouble();
    const at::Tensor expand = expand_weight.to(y.scalar_type());
    const at::Tensor scaled_reduce = (gamma.unsqueeze(1) * reduce_weight).to(y.scalar_type());
    const at::Tensor out_gradient = gradients[0].contiguous();
    const at::Tensor y_gradient = at::empty_like(y);
    const Tiles tiles(y.size(0));

    const auto add_tile = [&](int64_t i, Sums& sums) {
      const at::Tensor& hidden = saved[kTilesFrom + i];
      const LinearGradients reduced = linear_backward(tiles.of(out_gradient, i), at::gelu(hidden), scaled_reduce);
      const at::Tensor y_tile = tiles.of(y, i);
      const Norm norm = normalise(y_tile, norm_weight, norm_bias, eps);
      const LinearGradients expanded = linear_backward(at::gelu_backward(reduced.rows, hidden), norm.rows, expand);
      const auto [y_tile_gradient, norm_weight_gradient, _] =
          at::native_layer_norm_backward(expanded.rows, y_tile, norm_weight.sizes(), norm.mean, norm.rstd, norm_weight,
                                         norm_bias, {true, true, false});
      tiles.of(y_gradient, i).copy_(y_tile_gradient);
      sums.add({norm_weight_gradient, expanded.weight, expanded.bias, reduced.weight, reduced.bias});
    };
    std::vector<Sums> parts(std::min<int64_t>(tiles.count, at::get_num_threads()));
    const int64_t part_count = static_cast<int64_t>(parts.size());
    parallel_parts(part_count, [&](int64_t part) {
      parts[part] = {at::zeros_like(norm_weight), at::zeros_like(expand_weight), at::zeros({expand.size(0)}),
                     at::zeros_like(reduce_weight), at::zeros_like(reduce_bias)};
      for (int64_t i = part * tiles.count / part_count; i < (part + 1) * tiles.count / part_count; i++) {
        add_tile(i, parts[part]);
      }
    });
    Sums& sums = parts[0];
    for (int64_t part = 1; part < part_count; part++) sums.add(parts[part]);

    // Two sums over all positions follow from others, without the rounding of bfloat16: that of the gradient behind the
    // norm from the bias of expand; and gamma's, of out_gradient * reduce(..), from sums.reduce, the product of
    // out_gradient and the activations.
    return {out_gradient,
            y_gradient,
            sums.norm_weight,
            expand_weight.t().mv(sums.expand_bias),
            sums.expand,
            sums.expand_bias,
            gamma.unsqueeze(1) * sums.reduce,
            gamma * sums.out,
            (reduce_weight * sums.reduce).sum(1) + reduce_bias * sums.out,
            {}};
  }
};

bool tiles_usable(const at::Tensor& x, const at::Tensor& y) {
  return !lever_disabled("fused-mlp") && linear_kernels_usable(x) && y.scalar_type() == x.scalar_type() &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) && y.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor plain(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps) {
  const at::ScalarType type = x.scalar_type();
  at::Tensor z = at::layer_norm(y.permute({0, 2, 3, 1}), mlp.norm_weight.sizes(), mlp.norm_weight.to(type),
                                mlp.norm_bias.to(type), eps);  // [N, H, W, C]
  z = at::gelu(at::linear(z, mlp.expand_weight.to(type), mlp.expand_bias.to(type)));
  z = at::linear(z, mlp.reduce_weight.to(type), mlp.reduce_bias.to(type)) * mlp.gamma.to(type);
  return x + z.permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor residual_mlp(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps) {
  if (!tiles_usable(x, y)) return plain(x, y, mlp, eps);
  const at::Tensor x_rows = as_rows(x), y_rows = as_rows(y);
  if (!at::GradMode::is_enabled()) return as_map(forward_rows(x_rows, y_rows, mlp, eps, nullptr), x);
  return as_map(TiledResidualMlp::apply(x_rows, y_rows, mlp.norm_weight, mlp.norm_bias, mlp.expand_weight,
                                        mlp.expand_bias, mlp.reduce_weight, mlp.reduce_bias, mlp.gamma, eps),
                x);
}

}  // namespace dinov3_det
