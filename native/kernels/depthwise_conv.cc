#include "kernels/depthwise_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "base/cpu.h"
#include "base/levers.h"
#include "kernels/depthwise_rows.h"
#include "kernels/typed_values.h"

namespace dinov3_det {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kKernel = 7;
constexpr int64_t kPadding = 3;
constexpr int64_t kParts = 32;  // the rows of a batch are summed in so many parts, then the parts

// The widest kernels whose group divides the channels; null when none do.
const DepthwiseKernels* kernels_for(int64_t channels) {
  std::vector<const DepthwiseKernels*> known;
#if defined(__GNUC__)  // of GCC and Clang: MSVC lacks the vectors that the kernels are written in
  known.push_back(&baseline::depthwise_kernels);
#endif
#if defined(DINOV3_DET_X86_KERNELS)
  if (cpu_isa() >= Isa::kAvx2) known.push_back(&avx2::depthwise_kernels);
  if (cpu_isa() >= Isa::kAvx512) known.push_back(&avx512::depthwise_kernels);
#endif
  const auto fits = [&](const DepthwiseKernels* kernels) { return channels % kernels->group == 0; };
  const auto widest = std::find_if(known.rbegin(), known.rend(), fits);
  return widest == known.rend() ? nullptr : *widest;
}

struct Grid {
  int64_t height, width, channels;
};

// Output rows [begin, end) of the batch (N * H in all). weights [groups, 7, 7, group], bias [C].
template <class T>
void convolve_rows(const DepthwiseRows<T>& rows, int64_t group, const T* x, const float* weights, const float* bias,
                   const Grid& grid, int64_t begin, int64_t end, T* out) {
  const int64_t row_stride = grid.width * grid.channels;
  for (int64_t row = begin; row < end; row++) {
    const int64_t y = row % grid.height;
    for (int64_t first = 0; first < grid.channels; first += group) {
      const T* inputs[kKernel];
      for (int64_t ky = 0; ky < kKernel; ky++) {
        const int64_t input_y = y + ky - kPadding;
        inputs[ky] = input_y < 0 || input_y >= grid.height ? nullptr : x + (row + ky - kPadding) * row_stride + first;
      }
      rows.convolve(inputs, weights + first * kKernel * kKernel, bias + first, grid.width, grid.channels,
                    out + row * row_stride + first);
    }
  }
}

// Adds the rows [begin, end) of the batch to sums [7, groups, 7, group].
template <class T>
void add_rows(const DepthwiseRows<T>& rows, int64_t group, const T* x, const T* gradient, const Grid& grid,
              int64_t begin, int64_t end, float* sums) {
  const int64_t row_stride = grid.width * grid.channels;
  for (int64_t first = 0; first < grid.channels; first += group) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t y = row % grid.height;
      for (int64_t ky = 0; ky < kKernel; ky++) {
        const int64_t input_y = y + ky - kPadding;
        if (input_y < 0 || input_y >= grid.height) continue;
        rows.weight_gradient(x + (row + ky - kPadding) * row_stride + first, gradient + row * row_stride + first,
                             grid.width, grid.channels, sums + (ky * grid.channels + first) * kKernel);
      }
    }
  }
}

// x [N, C, H, W] in channels_last memory, weight [C, 1, 7, 7], bias [C]
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const DepthwiseKernels& kernels = *kernels_for(x.size(1));
  const Grid grid{x.size(2), x.size(3), x.size(1)};
  const at::Tensor weights =
      weight.to(at::kFloat).reshape({-1, kernels.group, kKernel * kKernel}).permute({0, 2, 1}).contiguous();
  const at::Tensor biases = bias.to(at::kFloat).contiguous();
  const at::Tensor out = at::empty_like(x);
  for_type(kernels, x, [&](const auto& rows, const auto& values) {
    at::parallel_for(0, x.size(0) * grid.height, 1, [&](int64_t begin, int64_t end) {
      convolve_rows(rows, kernels.group, values(x), weights.const_data_ptr<float>(), biases.const_data_ptr<float>(),
                    grid, begin, end, values(out));
    });
  });
  return out;
}

class DepthwiseConv : public torch::autograd::Function<DepthwiseConv> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return convolve(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    // What an output takes from an input at some distance, that input's gradient takes from there: the same convolution
    // with the kernel turned around.
    at::Tensor x_gradient;
    if (context->needs_input_grad(0)) x_gradient = convolve(gradient, saved[1].flip({2, 3}), at::zeros(x.size(1)));
    return {x_gradient, depthwise_weight_gradient(gradient, x), gradient.sum({0, 2, 3}, false, at::kFloat)};
  }
};

bool depthwise_usable(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return !lever_disabled("depthwise") && x.is_cpu() && (type == at::kFloat || type == at::kBFloat16) &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) && kernels_for(x.size(1)) != nullptr;
}

}  // namespace

at::Tensor depthwise_weight_gradient(const at::Tensor& gradient, const at::Tensor& x) {
  const DepthwiseKernels* kernels = kernels_for(x.size(1));
  TORCH_CHECK(kernels != nullptr, "no depthwise kernel for ", x.size(1), " channels");
  const Grid grid{x.size(2), x.size(3), x.size(1)};
  const int64_t all_rows = x.size(0) * grid.height, group = kernels->group;
  const int64_t parts = std::min(kParts, all_rows);
  const at::Tensor sums = at::zeros({parts, kKernel, grid.channels / group, kKernel, group}, at::kFloat);
  for_type(*kernels, x, [&](const auto& rows, const auto& values) {
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; part++) {
        add_rows(rows, group, values(x), values(gradient), grid, part * all_rows / parts, (part + 1) * all_rows / parts,
                 sums.data_ptr<float>() + part * sums.stride(0));
      }
    });
  });
  return sums.sum(0).permute({1, 3, 0, 2}).reshape({grid.channels, 1, kKernel, kKernel});
}

at::Tensor depthwise_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (depthwise_usable(x)) return DepthwiseConv::apply(x, weight, bias);
  return at::conv2d(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()), 1, kPadding, 1, x.size(1));
}

}  // namespace dinov3_det
