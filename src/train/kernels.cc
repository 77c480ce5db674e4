// SPDX-License-Identifier: Apache-2.0
#include "src/train/kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "src/train/vectorized.h"

namespace foldstream::train {
namespace {

// To the nearest integer, ties to even, for magnitudes below 2^22; additions of floats vectorize
// everywhere.
constexpr float kRound = 12582912.0F;  // 1.5 * 2^23

inline float nearest(float x) { return (x + kRound) - kRound; }

inline float code(float t, float lowest, float highest) {
  return nearest(std::min(std::max(t, lowest), highest));
}

inline float sign(float x) { return x >= 0 ? 1.0F : -1.0F; }

// Distance to the nearest threshold between two codes, in steps.
inline float distance(float t, float lowest, float highest) {
  const float below = nearest(std::min(std::max(t, lowest + 0.5F), highest - 0.5F) - 0.5F);
  return std::fabs(t - (std::min(std::max(below, lowest), highest - 1) + 0.5F));
}

inline float triangle(float distance, float reach) {
  return std::max(0.0F, 1 - distance / reach) / reach;
}

inline void adam_value(const AdamStep& step, float gradient, float& value, float& first,
                       float& second, float lowest, float highest) {
  first = step.beta1 * first + (1 - step.beta1) * gradient;
  second = step.beta2 * second + (1 - step.beta2) * gradient * gradient;
  // Square root and division take longest, so there is one of each.
  const float size = std::sqrt(second * (1 / step.correction2)) + step.epsilon;
  const float moved =
      value * (1 - step.rate * step.decay) - first * (step.rate / step.correction1) / size;
  value = std::min(std::max(moved, lowest), highest);
}

}  // namespace

Coder::Coder(const Quantizer& quantizer, float scale)
    : bipolar(quantizer.bipolar()),
      scale(scale),
      lowest(static_cast<float>(quantizer.lowest())),
      highest(static_cast<float>(quantizer.highest())),
      estimator(quantizer.estimator),
      width(static_cast<float>(quantizer.width)) {}

FOLDSTREAM_VECTORIZED
void quantize(const Coder& coder, const float* FOLDSTREAM_ALONE x, float* FOLDSTREAM_ALONE out,
              int64_t count) {
  const float scale = coder.scale, lowest = coder.lowest, highest = coder.highest;
  if (coder.bipolar) {
    for (int64_t i = 0; i < count; ++i) out[i] = x[i] >= 0 ? scale : -scale;
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = code(x[i] / scale, lowest, highest) * scale;
  }
}

FOLDSTREAM_VECTORIZED
void quantize_gradient(const Coder& coder, const float* FOLDSTREAM_ALONE x,
                       const float* FOLDSTREAM_ALONE gradient, float* FOLDSTREAM_ALONE out,
                       int64_t count) {
  const float scale = coder.scale, lowest = coder.lowest, highest = coder.highest;
  if (coder.estimator == Estimator::straight) {
    const float from = lowest * coder.width, to = highest * coder.width;
    for (int64_t i = 0; i < count; ++i) {
      const float t = x[i] / scale;
      out[i] = t >= from && t <= to ? gradient[i] : 0.0F;
    }
  } else if (coder.bipolar) {
    // One step of 2 at 0.
    const float reach = coder.width;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = gradient[i] * (2 * triangle(std::fabs(x[i] / scale), reach));
    }
  } else {
    const float reach = coder.width / 2;
    for (int64_t i = 0; i < count; ++i) {
      out[i] = gradient[i] * triangle(distance(x[i] / scale, lowest, highest), reach);
    }
  }
}

namespace {

// Always inlined: compiled for the vectors of the function that they are a part of.

// Sums over one channel of f(at), where `at` goes over its elements. With many elements side by
// side they go by lanes, in float, and a plane's sum is added to the others' in double; the order
// is the same whatever a vector's width.
template <class F>
[[gnu::always_inline]] inline double sum_of_channel(const Extent& extent, int64_t channel,
                                                    const F& f) {
  constexpr int64_t kLanes = 16;
  double sum = 0;
  for (int64_t o = 0; o < extent.outer; ++o) {
    const int64_t from = (o * extent.channels + channel) * extent.inner;
    const int64_t whole = extent.inner / kLanes * kLanes;
    std::array<float, kLanes> lanes{};
    for (int64_t i = 0; i < whole; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += f(from + i + lane);
    }
    for (const float lane : lanes) sum += lane;
    for (int64_t i = whole; i < extent.inner; ++i) sum += f(from + i);
  }
  return sum;
}

// The same of channels that lie side by side, each sum in its place of `sums`.
template <class F>
[[gnu::always_inline]] inline void sums_of_rows(const Extent& extent, float* FOLDSTREAM_ALONE sums,
                                                int64_t begin, int64_t end, const F& f) {
  std::fill(sums + begin, sums + end, 0.0F);
  for (int64_t o = 0; o < extent.outer; ++o) {
    const int64_t from = o * extent.channels;
    for (int64_t c = begin; c < end; ++c) sums[c] += f(from + c, c);
  }
}

// f(at, channel) at every element of the channels.
template <class F>
[[gnu::always_inline]] inline void each(const Extent& extent, int64_t begin, int64_t end,
                                        const F& f) {
  for (int64_t o = 0; o < extent.outer; ++o) {
    if (extent.inner == 1) {
      const int64_t from = o * extent.channels;
      for (int64_t c = begin; c < end; ++c) f(from + c, c);
      continue;
    }
    for (int64_t c = begin; c < end; ++c) {
      const int64_t from = (o * extent.channels + c) * extent.inner;
      for (int64_t i = from; i < from + extent.inner; ++i) f(i, c);
    }
  }
}

}  // namespace

FOLDSTREAM_VECTORIZED
void moments(const Extent& extent, const float* FOLDSTREAM_ALONE x, float* FOLDSTREAM_ALONE mean,
             float* FOLDSTREAM_ALONE variance, int64_t begin, int64_t end) {
  const auto count = static_cast<float>(extent.per_channel());
  if (extent.inner == 1) {
    sums_of_rows(extent, mean, begin, end, [&](int64_t at, int64_t) { return x[at]; });
    for (int64_t c = begin; c < end; ++c) mean[c] /= count;
    sums_of_rows(extent, variance, begin, end,
                 [&](int64_t at, int64_t c) { return (x[at] - mean[c]) * (x[at] - mean[c]); });
    for (int64_t c = begin; c < end; ++c) variance[c] /= count;
    return;
  }
  for (int64_t c = begin; c < end; ++c) {
    const auto sum = sum_of_channel(extent, c, [&](int64_t at) { return x[at]; });
    const auto middle = static_cast<float>(sum / count);
    const auto squares =
        sum_of_channel(extent, c, [&](int64_t at) { return (x[at] - middle) * (x[at] - middle); });
    mean[c] = middle;
    variance[c] = static_cast<float>(squares / count);
  }
}

FOLDSTREAM_VECTORIZED
void normalize(const Extent& extent, const float* FOLDSTREAM_ALONE x,
               const float* FOLDSTREAM_ALONE mean, const float* FOLDSTREAM_ALONE factor,
               const float* FOLDSTREAM_ALONE offset, float* FOLDSTREAM_ALONE out, int64_t begin,
               int64_t end) {
  each(extent, begin, end,
       [&](int64_t at, int64_t c) { out[at] = (x[at] - mean[c]) * factor[c] + offset[c]; });
}

FOLDSTREAM_VECTORIZED
void gradient_sums(const Extent& extent, const float* FOLDSTREAM_ALONE x,
                   const float* FOLDSTREAM_ALONE gradient, const float* FOLDSTREAM_ALONE mean,
                   float* FOLDSTREAM_ALONE sum, float* FOLDSTREAM_ALONE product, int64_t begin,
                   int64_t end) {
  if (extent.inner == 1) {
    sums_of_rows(extent, sum, begin, end, [&](int64_t at, int64_t) { return gradient[at]; });
    sums_of_rows(extent, product, begin, end,
                 [&](int64_t at, int64_t c) { return gradient[at] * (x[at] - mean[c]); });
    return;
  }
  for (int64_t c = begin; c < end; ++c) {
    sum[c] =
        static_cast<float>(sum_of_channel(extent, c, [&](int64_t at) { return gradient[at]; }));
    product[c] = static_cast<float>(
        sum_of_channel(extent, c, [&](int64_t at) { return gradient[at] * (x[at] - mean[c]); }));
  }
}

FOLDSTREAM_VECTORIZED
void normalize_gradient(const Extent& extent, const float* FOLDSTREAM_ALONE x,
                        const float* FOLDSTREAM_ALONE gradient, const float* FOLDSTREAM_ALONE mean,
                        const float* FOLDSTREAM_ALONE factor, const float* FOLDSTREAM_ALONE slope,
                        const float* FOLDSTREAM_ALONE offset, float* FOLDSTREAM_ALONE out,
                        int64_t begin, int64_t end) {
  each(extent, begin, end, [&](int64_t at, int64_t c) {
    out[at] = gradient[at] * factor[c] + (x[at] - mean[c]) * slope[c] + offset[c];
  });
}

namespace {

// Windows of two by two, side by side, that use up a line.
bool halves(const Pool& pool) {
  return pool.kernel_height == 2 && pool.kernel_width == 2 && pool.stride_height == 2 &&
         pool.stride_width == 2 && pool.padding_height == 0 && pool.padding_width == 0 &&
         pool.width % 2 == 0;
}

// First the larger of two lines, which lie side by side as long as a line is, then the larger of
// neighbours, which do so over the whole plane.
FOLDSTREAM_VECTORIZED
void max_of_halves(const Pool& pool, const float* FOLDSTREAM_ALONE x, float* FOLDSTREAM_ALONE out,
                   int32_t* FOLDSTREAM_ALONE places, int64_t planes, float* FOLDSTREAM_ALONE larger,
                   int32_t* FOLDSTREAM_ALONE from) {
  const int64_t width = pool.width, count = pool.out_plane();
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t y = 0; y < pool.out_height; ++y) {
      const float* upper = x + plane * pool.plane() + 2 * y * width;
      const float* lower = upper + width;
      const auto at = static_cast<int32_t>(2 * y * width);
      for (int64_t i = 0; i < width; ++i) {
        const bool more = (lower[i] > upper[i]) | (lower[i] != lower[i]);
        larger[y * width + i] = more ? lower[i] : upper[i];
        from[y * width + i] = at + static_cast<int32_t>(more ? i + width : i);
      }
    }
    float* best = out + plane * count;
    int32_t* place = places + plane * count;
    for (int64_t i = 0; i < count; ++i) {
      const float left = larger[2 * i], right = larger[2 * i + 1];
      const int32_t at_left = from[2 * i], at_right = from[2 * i + 1];
      // Of equal ones the first, of those that are no numbers the last.
      const bool more = (right > left) | ((right == left) & (at_right < at_left)) |
                        ((right != right) & ((left == left) | (at_right > at_left)));
      best[i] = more ? right : left;
      place[i] = more ? at_right : at_left;
    }
  }
}

}  // namespace

FOLDSTREAM_VECTORIZED
void max_pool(const Pool& pool, const float* FOLDSTREAM_ALONE x, float* FOLDSTREAM_ALONE out,
              int32_t* FOLDSTREAM_ALONE places, int64_t planes) {
  if (halves(pool)) {
    std::vector<float> larger(pool.out_height * pool.width);
    std::vector<int32_t> from(larger.size());
    max_of_halves(pool, x, out, places, planes, larger.data(), from.data());
    return;
  }
  const int64_t stride = pool.stride_width;
  for (int64_t line = 0; line < planes * pool.out_height; ++line) {
    const int64_t plane = line / pool.out_height, out_y = line % pool.out_height;
    float* best = out + line * pool.out_width;
    int32_t* place = places + line * pool.out_width;
    std::fill(best, best + pool.out_width, -std::numeric_limits<float>::infinity());
    std::fill(place, place + pool.out_width, -1);  // none yet
    for (int64_t ky = 0; ky < pool.kernel_height; ++ky) {
      const int64_t y = out_y * pool.stride_height - pool.padding_height + ky;
      if (y < 0 || y >= pool.height) continue;
      for (int64_t kx = 0; kx < pool.kernel_width; ++kx) {
        // Windows whose column lies in the plane.
        const int64_t from = kx - pool.padding_width;
        const int64_t begin = from >= 0 ? 0 : (stride - 1 - from) / stride;
        const int64_t end =
            from >= pool.width ? 0 : std::min(pool.out_width, (pool.width - 1 - from) / stride + 1);
        const auto at = static_cast<int32_t>(y * pool.width + from);
        const float* values = x + plane * pool.plane() + at;
        for (int64_t i = begin; i < end; ++i) {
          const float value = values[i * stride];
          const bool more = value > best[i] || value != value || place[i] < 0;
          best[i] = more ? value : best[i];
          place[i] = more ? at + static_cast<int32_t>(i * stride) : place[i];
        }
      }
    }
  }
}

void chosen(const Pool& pool, const float* x, const int32_t* places, float* out, int64_t planes) {
  const int64_t count = pool.out_plane();
  for (int64_t plane = 0; plane < planes; ++plane) {
    const float* from = x + plane * pool.plane();
    for (int64_t i = plane * count; i < (plane + 1) * count; ++i) out[i] = from[places[i]];
  }
}

void max_pool_gradient(const Pool& pool, const float* FOLDSTREAM_ALONE gradient,
                       const int32_t* FOLDSTREAM_ALONE places, float* FOLDSTREAM_ALONE out,
                       int64_t planes) {
  for (int64_t plane = 0; plane < planes; ++plane) {
    float* to = out + plane * pool.plane();
    std::fill(to, to + pool.plane(), 0.0F);
    for (int64_t i = plane * pool.out_plane(); i < (plane + 1) * pool.out_plane(); ++i) {
      to[places[i]] += gradient[i];
    }
  }
}

AdamStep::AdamStep(double rate, double decay, int64_t steps)
    : rate(static_cast<float>(rate)),
      decay(static_cast<float>(decay)),
      correction1(static_cast<float>(1 - std::pow(0.9, static_cast<double>(steps)))),
      correction2(static_cast<float>(1 - std::pow(0.999, static_cast<double>(steps)))) {}

FOLDSTREAM_VECTORIZED
void adam(const AdamStep& step, const float* FOLDSTREAM_ALONE gradient,
          float* FOLDSTREAM_ALONE value, float* FOLDSTREAM_ALONE first,
          float* FOLDSTREAM_ALONE second, float lowest, float highest, int64_t count) {
  const AdamStep local = step;  // nothing that is written can be a part of it
  for (int64_t i = 0; i < count; ++i) {
    adam_value(local, gradient[i], value[i], first[i], second[i], lowest, highest);
  }
}

FOLDSTREAM_VECTORIZED
void adam_quantized(const AdamStep& step, const Coder& coder,
                    const float* FOLDSTREAM_ALONE gradient, float* FOLDSTREAM_ALONE value,
                    float* FOLDSTREAM_ALONE first, float* FOLDSTREAM_ALONE second,
                    float* FOLDSTREAM_ALONE codes, int64_t count) {
  const float scale = coder.scale, lowest = coder.lowest, highest = coder.highest;
  const float from = lowest * scale, to = highest * scale;
  const AdamStep local = step;
  // The range is where values are kept, so the straight estimator never says 0.
  if (coder.bipolar) {
    for (int64_t i = 0; i < count; ++i) {
      adam_value(local, gradient[i], value[i], first[i], second[i], from, to);
      codes[i] = sign(value[i]) * scale;
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      adam_value(local, gradient[i], value[i], first[i], second[i], from, to);
      codes[i] = code(value[i] / scale, lowest, highest) * scale;
    }
  }
}

}  // namespace foldstream::train
