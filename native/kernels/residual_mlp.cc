#include "kernels/residual_mlp.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/levers.h"
#include "kernels/linear.h"
#include "kernels/mlp_ops.h"
#include "kernels/packed_linear.h"

namespace dinov3_det {

// Both layers in the type of computation; the layer scale is a part of `reduce`.
struct PackedMlp {
  PackedMlp(const ResidualMlp& mlp, at::ScalarType type, int64_t tile)
      : expand(mlp.expand_weight.to(type), mlp.expand_bias.to(type), tile),
        reduce((mlp.gamma.unsqueeze(1) * mlp.reduce_weight).to(type), (mlp.gamma * mlp.reduce_bias).to(type), tile) {}

  PackedLinear expand, reduce;
};

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
  explicit Tiles(int64_t row_count) : Tiles(row_count, size_for(row_count)) {}
  Tiles(int64_t row_count, int64_t tile_size)
      : rows(row_count), size(tile_size), count((row_count + tile_size - 1) / tile_size) {}

  static int64_t size_for(int64_t row_count) {
    const int64_t share = (row_count + at::get_num_threads() - 1) / at::get_num_threads();
    return std::min(kLargestTile, (share + kTileStep - 1) / kTileStep * kTileStep);
  }
  at::Tensor of(const at::Tensor& tensor, int64_t tile) const {
    return tensor.narrow(0, tile * size, std::min(size, rows - tile * size));
  }
  int64_t rows, size, count;
};

// Each thread takes whole tiles through all layers: no thread waits for another until the end. oneDNN plans some
// products for as many threads as OpenMP names and lets each wait for the others, for ever where it is given one: so
// one is named, in this region.
template <class Work>
void parallel_parts(int64_t count, const Work& work) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
#if defined(_OPENMP)
    if (omp_in_parallel()) omp_set_num_threads(1);
#endif
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (int64_t i = begin; i < end; i++) work(i);
  });
}

// x and y [R, C] -> [R, C]. Where `hidden` is given it gets each tile's [tile, 4C] before the activation.
at::Tensor forward_rows(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps,
                        const PackedMlp& packed, const Tiles& tiles, variable_list* hidden) {
  const at::Tensor out = at::empty_like(x);
  const auto activate = [&](int64_t i, const at::Tensor& rows) {
    if (hidden == nullptr) return packed.expand.gelu(rows);
    at::Tensor& expanded = (*hidden)[kTilesFrom + i];
    expanded = packed.expand.linear(rows);
    return gelu_rows(expanded);
  };
  parallel_parts(tiles.count, [&](int64_t i) {
    const Norm norm = layer_norm_rows(tiles.of(y, i), mlp.norm_weight, mlp.norm_bias, eps);
    tiles.of(out, i).copy_(packed.reduce.add(activate(i, norm.rows), tiles.of(x, i)));
  });
  return out;
}

// What the tiles of one part add up to, float32.
struct Sums {
  at::Tensor norm_weight, expand, expand_bias, reduce, out;

  void add(const Sums& other) const {
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
    const Tiles tiles(x.size(0));
    saved.resize(kTilesFrom + tiles.count);
    at::Tensor out = forward_rows(x, y, mlp, eps, {mlp, x.scalar_type(), tiles.size}, tiles, &saved);
    context->save_for_backward(std::move(saved));
    context->saved_data["eps"] = eps;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &y = saved[0], &norm_weight = saved[1], &norm_bias = saved[2], &expand_weight = saved[3],
                     &reduce_weight = saved[4], &reduce_bias = saved[5], &gamma = saved[6];
    const double eps = context->saved_data["eps"].toDouble();
    const Tiles tiles(y.size(0), saved[kTilesFrom].size(0));  // as they were cut
    const auto transposed = [&](const at::Tensor& weight) {
      return PackedLinear(weight.t().to(y.scalar_type()), {}, tiles.size);
    };
    const PackedLinear expand = transposed(expand_weight), reduce = transposed(gamma.unsqueeze(1) * reduce_weight);
    const at::Tensor out_gradient = gradients[0].contiguous();
    const at::Tensor y_gradient = at::empty_like(y);

    const auto add_tile = [&](int64_t i, const Sums& sums) {
      const at::Tensor gradient = tiles.of(out_gradient, i), y_tile = tiles.of(y, i);
      const at::Tensor hidden_gradient = reduce.linear(gradient);
      const at::Tensor active = gelu_rows_backward(hidden_gradient, saved[kTilesFrom + i], sums.expand_bias);
      add_values(linear_weight_gradient(gradient, active), sums.reduce);
      add_rows(gradient, sums.out);
      const Norm norm = layer_norm_rows(y_tile, norm_weight, norm_bias, eps);
      add_values(linear_weight_gradient(hidden_gradient, norm.rows), sums.expand);
      layer_norm_rows_backward(expand.linear(hidden_gradient), y_tile, norm, norm_weight, tiles.of(y_gradient, i),
                               sums.norm_weight);
    };
    std::vector<Sums> parts(std::min<int64_t>(tiles.count, at::get_num_threads()));
    const int64_t part_count = static_cast<int64_t>(parts.size());
    parallel_parts(part_count, [&](int64_t part) {
      parts[part] = {at::zeros_like(norm_weight), at::zeros_like(expand_weight), at::zeros({expand_weight.size(0)}),
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

using Packed = std::shared_ptr<const PackedMlp>;

// Made anew when a weight has changed.
Packed packed_of(const ResidualMlp& mlp, at::ScalarType type, int64_t tile, PackedMlpCache* cache) {
  if (cache == nullptr) return std::make_shared<PackedMlp>(mlp, type, tile);
  const auto version = [](const at::Tensor& weight) {
    return weight.unsafeGetTensorImpl()->version_counter().current_version();
  };
  const PackedMlpCache::Key key{type,
                                tile,
                                {version(mlp.expand_weight), version(mlp.expand_bias), version(mlp.reduce_weight),
                                 version(mlp.reduce_bias), version(mlp.gamma)}};
  if (!cache->packed || cache->key != key) *cache = {std::make_shared<PackedMlp>(mlp, type, tile), key};
  return cache->packed;
}

}  // namespace

at::Tensor residual_mlp(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps,
                        PackedMlpCache* cache) {
  if (!tiles_usable(x, y)) return plain(x, y, mlp, eps);
  const at::Tensor x_rows = as_rows(x), y_rows = as_rows(y);
  if (at::GradMode::is_enabled()) {
    return as_map(TiledResidualMlp::apply(x_rows, y_rows, mlp.norm_weight, mlp.norm_bias, mlp.expand_weight,
                                          mlp.expand_bias, mlp.reduce_weight, mlp.reduce_bias, mlp.gamma, eps),
                  x);
  }
  const Tiles tiles(x_rows.size(0));
  const Packed packed = packed_of(mlp, x.scalar_type(), tiles.size, cache);
  return as_map(forward_rows(x_rows, y_rows, mlp, eps, *packed, tiles, nullptr), x);
}

}  // namespace dinov3_det
