#include "kernels/mlp_rows.h"

#include "kernels/vectors.h"

namespace dinov3_det::DINOV3_DET_ISA {

namespace {

// The first `count` values of a vector, zeros after them.
template <class T>
inline Floats load_some(const T* values, int64_t count) {
  if (count >= kLanes) return load(values);
  T some[kLanes] = {};
  for (int64_t i = 0; i < count; i++) some[i] = values[i];
  return load(some);
}

template <class T>
inline void store_some(T* values, int64_t count, Floats vector) {
  if (count >= kLanes) return store(values, vector);
  T some[kLanes];
  store(some, vector);
  for (int64_t i = 0; i < count; i++) values[i] = some[i];
}

inline float sum(Floats vector) {
  float total = 0;
  for (int i = 0; i < kLanes; i++) total += vector[i];
  return total;
}

// coefficients[0] * x^(n - 1) + .. + coefficients[n - 1]
template <int n>
inline Floats polynomial(Floats x, const float (&coefficients)[n]) {
  Floats value = splat(coefficients[0]);
  DINOV3_DET_UNROLL for (int i = 1; i < n; i++) value = value * x + coefficients[i];
  return value;
}

// exp(x) for x <= 0, to 2 units in the last place: 2^k * exp(rest), the rest within half of ln 2. Where a float has no
// more room it stays at exp(-87), which is as good as 0.
inline Floats exp_of_negative(Floats x) {
  constexpr float kRound = 12582912;  // 1.5 * 2^23: what is added to it loses its fraction
  const Floats clamped = x > -87.0f ? x : splat(-87.0f);
  const Floats shifted = clamped * 1.44269504f + kRound;
  const Floats k = shifted - kRound;
  const Floats rest = clamped - k * 0.693359375f + k * 2.12194440e-4f;
  constexpr float kExp[] = {1.9875691500e-4f,
                            1.3981999507e-3f,
                            8.3334519073e-3f,
                            4.1665795894e-2f,
                            1.6666665459e-1f,
                            0.5f,
                            1.0f,
                            1.0f};  // Cephes
  const Floats power = polynomial(rest, kExp);
  return (Floats)((Words)power + ((Words)shifted << 23));
}

struct Normal {
  Floats cumulative, density;
};

// Of the standard normal distribution. Abramowitz and Stegun 7.1.26: 1.5e-7 off at most.
inline Normal normal(Floats x) {
  const Floats power = exp_of_negative(x * x * -0.5f);
  const Floats distance = (Floats)((Words)x & 0x7fffffff);
  const Floats t = 1.0f / (1.0f + 0.231641888f * distance);  // 0.3275911 / sqrt(2)
  constexpr float kTail[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f, 0.0f};
  const Floats tail = polynomial(t, kTail) * power * 0.5f;
  return {x < 0.0f ? tail : 1.0f - tail, power * 0.398942280f};
}

template <class T>
void gelu(const T* x, T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const Floats value = load_some(x + i, count - i);
    store_some(y + i, count - i, value * normal(value).cumulative);
  }
}

template <class T>
void gelu_backward(const T* x, T* gradient, T* active, int64_t rows, int64_t columns, float* sums) {
  for (int64_t row = 0; row < rows; row++, x += columns, gradient += columns, active += columns) {
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = columns - i;
      const Floats value = load_some(x + i, left);
      const auto [cumulative, density] = normal(value);
      const Floats product = load_some(gradient + i, left) * (cumulative + value * density);
      store_some(active + i, left, value * cumulative);
      store_some(gradient + i, left, product);
      store_some(sums + i, left, load_some(sums + i, left) + product);
    }
  }
}

// Values of a row that are left over count as 0 in its sums.
template <class T>
void layer_norm(const T* x, const float* weight, const float* bias, float eps, int64_t rows, int64_t columns, T* y,
                float* mean, float* rstd) {
  for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
    Floats total{};
    for (int64_t i = 0; i < columns; i += kLanes) total += load_some(x + i, columns - i);
    const float average = sum(total) / columns;
    Floats squares{};
    for (int64_t i = 0; i + kLanes <= columns; i += kLanes) {
      const Floats offset = load(x + i) - average;
      squares += offset * offset;
    }
    float variance = sum(squares);
    if (const int64_t left = columns % kLanes; left > 0) {
      const Floats offset = load_some(x + columns - left, left) - average;
      for (int64_t i = 0; i < left; i++) variance += offset[i] * offset[i];
    }
    mean[row] = average;
    rstd[row] = 1 / __builtin_sqrtf(variance / columns + eps);
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = columns - i;
      const Floats normal = (load_some(x + i, left) - average) * rstd[row];
      store_some(y + i, left, normal * load_some(weight + i, left) + load_some(bias + i, left));
    }
  }
}

template <class T>
void layer_norm_backward(const T* gradient, const T* x, const float* weight, const float* mean, const float* rstd,
                         int64_t rows, int64_t columns, T* x_gradient, float* weight_sums) {
  for (int64_t row = 0; row < rows; row++, gradient += columns, x += columns, x_gradient += columns) {
    Floats total{}, along{};  // of the gradient of the normal values, and of its product with them
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = columns - i;
      const Floats out = load_some(gradient + i, left);  // 0 beyond the row, and so are all products
      const Floats normal = (load_some(x + i, left) - mean[row]) * rstd[row];
      store_some(weight_sums + i, left, load_some(weight_sums + i, left) + out * normal);
      const Floats scaled = out * load_some(weight + i, left);
      total += scaled;
      along += scaled * normal;
    }
    const float average = sum(total) / columns, slope = sum(along) / columns;
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = columns - i;
      const Floats normal = (load_some(x + i, left) - mean[row]) * rstd[row];
      const Floats scaled = load_some(gradient + i, left) * load_some(weight + i, left);
      store_some(x_gradient + i, left, (scaled - average - normal * slope) * rstd[row]);
    }
  }
}

template <class T>
void add_rows(const T* x, int64_t rows, int64_t columns, float* sums) {
  for (int64_t row = 0; row < rows; row++, x += columns) {
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t left = columns - i;
      store_some(sums + i, left, load_some(sums + i, left) + load_some(x + i, left));
    }
  }
}

template <class T>
constexpr MlpRows<T> kernels = {gelu<T>, gelu_backward<T>, layer_norm<T>, layer_norm_backward<T>, add_rows<T>};

}  // namespace

const MlpKernels mlp_kernels = {kernels<float>, kernels<uint16_t>};

}  // namespace dinov3_det::DINOV3_DET_ISA
