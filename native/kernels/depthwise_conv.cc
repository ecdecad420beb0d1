#include "kernels/depthwise_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "cpu.h"
#include "kernels/depthwise_rows.h"
#include "levers.h"

namespace dinov3_det {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kKernel = 7;
constexpr int64_t kPadding = 3;
constexpr int64_t kParts = 32;  // the rows of a batch are summed in so many parts, then the parts

// The widest kernel whose group divides the channels; null when none does.
const DepthwiseRows* rows_for(int64_t channels) {
  std::vector<const DepthwiseRows*> known;
#if defined(__GNUC__)  // of GCC and Clang: MSVC lacks the vectors that the kernels are written in
  known.push_back(&baseline::depthwise_rows);
#endif
#if defined(DINOV3_DET_X86_KERNELS)
  if (cpu_isa() >= Isa::kAvx2) known.push_back(&avx2::depthwise_rows);
  if (cpu_isa() >= Isa::kAvx512) known.push_back(&avx512::depthwise_rows);
#endif
  const auto fits = [&](const DepthwiseRows* rows) { return channels % rows->group == 0; };
  const auto widest = std::find_if(known.rbegin(), known.rend(), fits);
  return widest == known.rend() ? nullptr : *widest;
}

void run_rows(const DepthwiseRows& rows, const float* x, const float* gradient, int64_t width, int64_t stride,
              float* sums) {
  rows.float32(x, gradient, width, stride, sums);
}

void run_rows(const DepthwiseRows& rows, const c10::BFloat16* x, const c10::BFloat16* gradient, int64_t width,
              int64_t stride, float* sums) {
  rows.bfloat16(reinterpret_cast<const uint16_t*>(x), reinterpret_cast<const uint16_t*>(gradient), width, stride, sums);
}

struct Grid {
  int64_t height, width, channels;
};

// Adds the rows [begin, end) of the batch (N * H in all) to sums [7, groups, 7, group].
template <class T>
void add_rows(const DepthwiseRows& rows, const T* x, const T* gradient, const Grid& grid, int64_t begin, int64_t end,
              float* sums) {
  const int64_t row_stride = grid.width * grid.channels;
  for (int64_t first = 0; first < grid.channels; first += rows.group) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t y = row % grid.height;
      for (int64_t ky = 0; ky < kKernel; ky++) {
        const int64_t input_y = y + ky - kPadding;
        if (input_y < 0 || input_y >= grid.height) continue;
        run_rows(rows, x + (row + ky - kPadding) * row_stride + first, gradient + row * row_stride + first, grid.width,
                 grid.channels, sums + (ky * grid.channels + first) * kKernel);
      }
    }
  }
}

class DepthwiseConv : public torch::autograd::Function<DepthwiseConv> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    context->save_for_backward({x, weight});
    return at::conv2d(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()), 1, kPadding, 1, x.size(1));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    constexpr int64_t kOne[] = {1, 1}, kZero[] = {0, 0}, kPad[] = {kPadding, kPadding};
    const at::Tensor x_gradient = std::get<0>(
        at::convolution_backward(gradient, x, saved[1].to(x.scalar_type()), c10::nullopt, kOne, kPad, kOne,
                                 /*transposed=*/false, kZero, x.size(1), {context->needs_input_grad(0), false, false}));
    return {x_gradient, depthwise_weight_gradient(gradient, x), gradient.sum({0, 2, 3}, false, at::kFloat)};
  }
};

bool depthwise_usable(const at::Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  return !lever_disabled("depthwise") && x.is_cpu() && (type == at::kFloat || type == at::kBFloat16) &&
         x.is_contiguous(at::MemoryFormat::ChannelsLast) && rows_for(x.size(1)) != nullptr;
}

}  // namespace

at::Tensor depthwise_weight_gradient(const at::Tensor& gradient, const at::Tensor& x) {
  const DepthwiseRows* rows = rows_for(x.size(1));
  TORCH_CHECK(rows != nullptr, "no depthwise kernel for ", x.size(1), " channels");
  const Grid grid{x.size(2), x.size(3), x.size(1)};
  const int64_t all_rows = x.size(0) * grid.height;
  const int64_t parts = std::min(kParts, all_rows);
  const at::Tensor sums = at::zeros({parts, kKernel, grid.channels / rows->group, kKernel, rows->group}, at::kFloat);
  const auto sum_parts = [&](const auto* input, const auto* output) {
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; part++) {
        add_rows(*rows, input, output, grid, part * all_rows / parts, (part + 1) * all_rows / parts,
                 sums.data_ptr<float>() + part * sums.stride(0));
      }
    });
  };
  if (x.scalar_type() == at::kBFloat16) {
    sum_parts(x.const_data_ptr<c10::BFloat16>(), gradient.const_data_ptr<c10::BFloat16>());
  } else {
    sum_parts(x.const_data_ptr<float>(), gradient.const_data_ptr<float>());
  }
  return sums.sum(0).permute({1, 3, 0, 2}).reshape({grid.channels, 1, kKernel, kKernel});
}

at::Tensor depthwise_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (depthwise_usable(x)) return DepthwiseConv::apply(x, weight, bias);
  return at::conv2d(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()), 1, kPadding, 1, x.size(1));
}

}  // namespace dinov3_det
