// SPDX-License-Identifier: Apache-2.0
// What a network's layers and losses compute, with gradients: by loops of our own where tensors lie
// in a processor's memory (kernels.h), by tensor operations elsewhere.
#pragma once

#include <torch/types.h>

#include "src/train/recipe.h"

namespace foldstream::train {

// x / scale, clipped and rounded; the gradient is the estimator's. One float tensor of any shape.
torch::Tensor quantized_codes(const torch::Tensor& x, const Quantizer& quantizer);
// The same times scale. `scale` is a positive scalar, or has a shape that broadcasts to x's and may
// have a gradient.
torch::Tensor quantized(const torch::Tensor& x, const torch::Tensor& scale,
                        const Quantizer& quantizer);
// With a scale that is a constant number.
torch::Tensor quantized(const torch::Tensor& x, double scale, const Quantizer& quantizer);

// Batch normalization of x [N, channels, ...] with the batch's statistics; the running ones,
// [channels] as weight and bias, follow by the share `momentum`.
torch::Tensor normalized(const torch::Tensor& x, const torch::Tensor& weight,
                         const torch::Tensor& bias, const torch::Tensor& running_mean,
                         const torch::Tensor& running_variance, double momentum, double epsilon);

// The largest of each window of x [N, channels, ...]; 1-D or 2-D as the windows are.
torch::Tensor max_pooled(const torch::Tensor& x, const Shape& kernel, const Shape& stride,
                         const Shape& padding);

// Means over a batch. `scores` [N, classes], or [N, 1], whose sign tells label 1 from 0; `labels`
// [N] int64.
torch::Tensor squared_hinge(const torch::Tensor& scores, const torch::Tensor& labels);
torch::Tensor cross_entropy(const torch::Tensor& scores, const torch::Tensor& labels,
                            double temperature);
// Cross entropy with the teacher's class probabilities, both softened.
torch::Tensor distillation(const torch::Tensor& scores, const torch::Tensor& teacher_scores,
                           double temperature);

}  // namespace foldstream::train
