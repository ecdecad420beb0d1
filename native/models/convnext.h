#pragma once

#include <ATen/Generator.h>
#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "kernels/residual_mlp.h"
#include "models/backbone.h"
#include "models/layers.h"
#include "models/weight_cache.h"

namespace dinov3_det {

// Blocks and channels of the four stages.
struct ConvNextSize {
  std::vector<int64_t> depths;
  std::vector<int64_t> dims;
};

// "convnext_tiny", "_small", "_base", "_large" as released with DINOv3, or "convnext_test", a small one for tests and
// demos.
ConvNextSize convnext_size(const std::string& name);

// DINOv3's ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s"): the last stage, stride 32, through the final
// LayerNorm. Parameter names are the keys of the released state_dict; the second name of the final norm, `norms.3`, is
// left out. For a feature pyramid the stages at strides 8 and 16 are given too, each through a LayerNorm of its own,
// where the release has an identity: `norms.1` and `norms.2`, which begin as 1 and 0.
class ConvNext : public Backbone {
 public:
  // Initialised as the reference: weights normal with std 0.02, biases 0, LayerNorm 1 and 0, layer scale 1e-6. Without
  // a generator the weights are 0, for who will read them from a file.
  ConvNext(const ConvNextSize& size, bool pyramid, at::Generator& generator);

  std::vector<at::Tensor> forward(const at::Tensor& images) override;
  std::vector<MapShape> map_shapes(int64_t height, int64_t width) override;
  NamedTensors parameters() const override;
  void train(bool on) override { training_ = on; }
  void set_drop_path(double rate, uint64_t seed) override;
  torch::jit::Module script(ScriptBuilder& builder) const override;

 private:
  struct Block {
    Affine dwconv;
    LayerNorm norm;
    Affine pwconv1;
    Affine pwconv2;
    at::Tensor gamma;  // [C], layer scale
    double depth = 0;  // from 0, the first block, to 1, the last one
    PackedMlpCache packed;
  };
  struct Stage {
    Affine downsample_conv;     // 4x4/4 for the stem, 2x2/2 later
    LayerNorm downsample_norm;  // behind the stem's convolution, before the later ones
    std::vector<Block> blocks;
    std::optional<LayerNorm> norm;  // of a stage whose map is given
  };

  at::Tensor forward_block(Block& block, const at::Tensor& x);
  at::Tensor run_block(const Block& block, const at::Tensor& x, const at::Tensor& gamma, PackedMlpCache* packed);

  std::vector<Stage> stages_;
  WeightCache weights_;
  bool training_ = false;
  double drop_path_rate_ = 0;
  at::Generator drop_path_generator_;
};

}  // namespace dinov3_det
