// SPDX-License-Identifier: Apache-2.0
// The inner loops of training on a processor: one pass over memory for what would be many tensor
// operations. No dependency on libtorch; every result is the same on every machine, whatever its
// vector width.
#pragma once

#include <cstdint>

#include "src/train/recipe.h"

namespace foldstream::train {

constexpr int64_t kGrain = 1 << 15;  // elements that are worth a thread

// A quantizer with one constant scale, in floats.
struct Coder {
  explicit Coder(const Quantizer& quantizer, float scale = 1);
  bool bipolar;
  float scale, lowest, highest;
  Estimator estimator;
  float width;
};

// out = round(clip(x / scale)) * scale, ties to even; or the sign.
void quantize(const Coder& coder, const float* x, float* out, int64_t count);
// out = gradient * what the estimator says of the step at x.
void quantize_gradient(const Coder& coder, const float* x, const float* gradient, float* out,
                       int64_t count);

// Batch normalization of x [outer, channels, inner], where a channel's elements are those of all
// outer and inner places. Each function takes channels `begin` to `end`; a channel's result depends
// on nothing else.
struct Extent {
  int64_t outer, channels, inner;
  int64_t per_channel() const { return outer * inner; }
};

// Mean and variance (over the count) of each channel.
void moments(const Extent& extent, const float* x, float* mean, float* variance, int64_t begin,
             int64_t end);
// out = (x - mean) * factor + offset.
void normalize(const Extent& extent, const float* x, const float* mean, const float* factor,
               const float* offset, float* out, int64_t begin, int64_t end);
// The sums of gradient and of gradient * (x - mean).
void gradient_sums(const Extent& extent, const float* x, const float* gradient, const float* mean,
                   float* sum, float* product, int64_t begin, int64_t end);
// out = gradient * factor + (x - mean) * slope + offset.
void normalize_gradient(const Extent& extent, const float* x, const float* gradient,
                        const float* mean, const float* factor, const float* slope,
                        const float* offset, float* out, int64_t begin, int64_t end);

// The largest of each window of planes [height, width]; windows begin `padding` before a plane,
// with nothing there.
struct Pool {
  int64_t height = 1, width = 1, out_height = 1, out_width = 1;
  int64_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;
  int64_t plane() const { return height * width; }
  int64_t out_plane() const { return out_height * out_width; }
};
// out [planes, out_height, out_width] and the places in x that it came from, from the plane's first
// element: the first of those that are as large, or the last that is no number.
void max_pool(const Pool& pool, const float* x, float* out, int32_t* places, int64_t planes);
// out = what x has there.
void chosen(const Pool& pool, const float* x, const int32_t* places, float* out, int64_t planes);
// The gradient of x, from `gradient` of out.
void max_pool_gradient(const Pool& pool, const float* gradient, const int32_t* places, float* out,
                       int64_t planes);

struct AdamStep {
  float rate, beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F, decay = 0;
  float correction1, correction2;  // 1 - beta^steps

  AdamStep(double rate, double decay, int64_t steps);
};

// One step of Adam on `count` values, which stay in [lowest, highest].
void adam(const AdamStep& step, const float* gradient, float* value, float* first, float* second,
          float lowest, float highest, int64_t count);
// The same for weights behind a quantizer: `gradient` is that of the quantized weights, which are
// made anew in `codes`.
void adam_quantized(const AdamStep& step, const Coder& coder, const float* gradient, float* value,
                    float* first, float* second, float* codes, int64_t count);

}  // namespace foldstream::train
