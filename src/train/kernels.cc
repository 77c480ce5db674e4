// SPDX-License-Identifier: Apache-2.0
#include "src/train/kernels.h"

#include <algorithm>
#include <cmath>

// One copy of a function for each width of vectors. Contraction is off in the whole build, so all
// copies round alike. The sanitizers and the loader of clones don't go together.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define FOLDSTREAM_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOLDSTREAM_VECTORIZED
#endif

#define FOLDSTREAM_ALONE __restrict__  // no other operand overlaps it

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
  const float slope = first / step.correction1;
  const float size = std::sqrt(second / step.correction2) + step.epsilon;
  const float moved = value * (1 - step.rate * step.decay) - step.rate * slope / size;
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
