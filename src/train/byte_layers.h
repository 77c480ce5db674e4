// SPDX-License-Identifier: Apache-2.0
// Layers whose products are of bytes, as torch's graph has them.
#pragma once

#include <torch/types.h>

#include "src/train/byte_convolution.h"
#include "src/train/byte_linear.h"

namespace foldstream::train {

// Codes times a scale, as a tensor of floats.
struct ByteOperand {
  torch::Tensor values;
  ByteRange range;  // of the operand, and of the weights
  float scale = 1;
};

struct ByteWeights {
  torch::Tensor values;  // [rows, channels, kernel...], codes times scales
  torch::Tensor scales;  // [rows], without a gradient
};

// Convolution with stride 1 of x.values [N, channels, ...], 1-D or 2-D, where bytes hold it
// (bytes_convolve); `padding` by spatial axis. The sums are exact; each is rounded once to float,
// and once more by the scales. `rounded`: gradients are of 8 bits where sums of those fit, else
// they are those of the convolution in floats.
torch::Tensor convolve(const ByteOperand& x, const ByteWeights& weights, torch::IntArrayRef padding,
                       bool rounded);

// The same of x.values [N, columns] times weights [rows, columns], to [N, rows] (bytes_multiply).
torch::Tensor multiply(const ByteOperand& x, const ByteWeights& weights, bool rounded);

// Of that convolution.
ByteShape byte_shape(const torch::Tensor& x, const torch::Tensor& weights,
                     torch::IntArrayRef padding);

}  // namespace foldstream::train
