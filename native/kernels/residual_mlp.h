#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>

namespace dinov3_det {

// The second half of a ConvNeXt block. Float32 weights; the computation runs in the type of x.
struct ResidualMlp {
  at::Tensor norm_weight;    // [C]
  at::Tensor norm_bias;      // [C]
  at::Tensor expand_weight;  // [4C, C]
  at::Tensor expand_bias;    // [4C]
  at::Tensor reduce_weight;  // [C, 4C]
  at::Tensor reduce_bias;    // [C]
  at::Tensor gamma;          // [C], layer scale
};

// The weights of a block that is run and not trained, as the kernels read them.
struct PackedMlp;
struct PackedMlpCache {
  // What they were made for, and the versions of the weights that they were made from.
  struct Key {
    at::ScalarType type;
    int64_t tile;
    std::array<uint32_t, 5> versions;
    bool operator==(const Key&) const = default;
  };
  std::shared_ptr<const PackedMlp> packed;
  Key key;
};

// x + gamma * reduce(gelu(expand(layer_norm(y)))), x and y [N, C, H, W]. On a CPU it runs through some thousand
// positions at a time, so that what lies between the layers stays in the processor's cache. Without gradients `cache`,
// if given, keeps what was made of the weights; it must be of these weights alone.
at::Tensor residual_mlp(const at::Tensor& x, const at::Tensor& y, const ResidualMlp& mlp, double eps,
                        PackedMlpCache* cache = nullptr);

}  // namespace dinov3_det
