// SPDX-License-Identifier: Apache-2.0
// Batch normalization in training, by itself or with the pool and the quantizer behind it.
#pragma once

#include <torch/types.h>

#include "src/train/recipe.h"

namespace foldstream::train {

// Of an operand [N, channels, ...].
struct Normalization {
  torch::Tensor weight, bias, running_mean, running_variance;  // [channels]
  double momentum, epsilon;
};

// Batch normalization of x with the batch's statistics; the running ones follow by the share
// `momentum`.
torch::Tensor normalized(const torch::Tensor& x, const Normalization& by);

// What lies between two products, as one operation: batch normalization, the largest of each
// window, and its code.
struct NormalizedCodes {
  Normalization by;
  const Quantizer* quantizer;  // with a constant scale
  int64_t window;              // the pool's kernel and stride on every axis; 1: no pool
  torch::Tensor finished;  // for a GPU's kernels: [1] int32, 0; of this place in a network alone
};

// The same to the bit as `normalized`, `max_pooled` and `quantized` one behind the other, for x in
// a processor's memory (in_memory). A few channels at a time go through all of it, so that it isn't
// memory that takes the time. `how` outlives the gradients.
torch::Tensor normalized_codes(const torch::Tensor& x, const NormalizedCodes& how);

}  // namespace foldstream::train
