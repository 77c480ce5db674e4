// SPDX-License-Identifier: Apache-2.0
// What a network's layers and losses compute, with gradients: by loops of our own where tensors lie
// in a processor's memory (kernels.h), by tensor operations elsewhere.
#pragma once

#include <torch/types.h>

#include "src/train/kernels.h"
#include "src/train/recipe.h"

namespace foldstream::train {

// Whether the kernels take it; others are computed by tensor operations.
bool in_memory(const torch::Tensor& x);

// x / scale, clipped and rounded; the gradient is the estimator's. One float tensor of any shape.
torch::Tensor quantized_codes(const torch::Tensor& x, const Quantizer& quantizer);
// The same times scale. `scale` is a positive scalar, or has a shape that broadcasts to x's and may
// have a gradient.
torch::Tensor quantized(const torch::Tensor& x, const torch::Tensor& scale,
                        const Quantizer& quantizer);
// With a scale that is a constant number.
torch::Tensor quantized(const torch::Tensor& x, double scale, const Quantizer& quantizer);

// The largest of each window of x [N, channels, ...]; 1-D or 2-D as the windows are.
torch::Tensor max_pooled(const torch::Tensor& x, const Shape& kernel, const Shape& stride,
                         const Shape& padding);
// As the kernels have it, and the shape of its result.
Pool pool_of(const torch::Tensor& x, const Shape& kernel, const Shape& stride,
             const Shape& padding);
Shape pooled_sizes(const torch::Tensor& x, const Pool& pool);

// Means over a batch. `scores` [N, classes], or [N, 1], whose sign tells label 1 from 0; `labels`
// [N] int64.
torch::Tensor squared_hinge(const torch::Tensor& scores, const torch::Tensor& labels);
torch::Tensor cross_entropy(const torch::Tensor& scores, const torch::Tensor& labels,
                            double temperature);
// Cross entropy with the teacher's class probabilities, both softened.
torch::Tensor distillation(const torch::Tensor& scores, const torch::Tensor& teacher_scores,
                           double temperature);

}  // namespace foldstream::train
