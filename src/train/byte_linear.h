// SPDX-License-Identifier: Apache-2.0
// Linear layers of few-bit codes on a processor, and their gradients, as byte_convolution.h has
// convolutions: exact results, gradients of result gradients that were rounded to 8 bits.
#pragma once

#include <cstdint>
#include <vector>

#include "src/train/byte_parts.h"

namespace foldstream::train {

struct LinearShape {
  int64_t columns = 1;  // of the operand
  int64_t rows = 1;     // of the result
};

// Whether bytes hold the codes, and sums fit: of the layer, and of the gradients of operand and
// weights.
bool bytes_multiply(const LinearShape& shape, const ByteRange& range);
bool bytes_reach_operand(const LinearShape& shape, const ByteRange& range);
bool bytes_reach_weights(const LinearShape& shape, const ByteRange& range, int64_t samples);

class ByteLinear {
 public:
  // `weights` [rows, columns]; a scale for each row.
  ByteLinear(const LinearShape& shape, const ByteRange& range, const int8_t* weights,
             const float* weight_scales, float scale);
  // codes [samples, columns] to out [samples, rows].
  void run(const int8_t* codes, float* out, int64_t samples) const;

 private:
  LinearShape shape_;
  ByteRange range_;
  std::vector<uint8_t> weights_;  // four columns of all rows after the other
  std::vector<int32_t> offsets_;
  std::vector<float> factors_;
};

// The gradient of the operand. A sample's is rounded in steps of its own.
class ByteLinearOperandGradient {
 public:
  ByteLinearOperandGradient(const LinearShape& shape, const ByteRange& range, const int8_t* weights,
                            const float* weight_scales);
  // gradient [samples, rows] to out [samples, columns].
  void run(const float* gradient, float* out, int64_t samples) const;

 private:
  LinearShape shape_;
  ByteRange range_;
  std::vector<float> weight_scales_;
  std::vector<uint8_t> weights_;  // four rows of all columns after the other
  std::vector<int32_t> offsets_;
};

// The gradient of the weights. A row's is rounded in steps of its own.
class ByteLinearWeightGradient {
 public:
  // codes [samples, columns], gradient [samples, rows].
  ByteLinearWeightGradient(const LinearShape& shape, const ByteRange& range, const int8_t* codes,
                           const float* gradient, int64_t samples, float scale);
  // Rows begin to end - 1 of out [rows, columns]; `begin` is a multiple of kByteRows.
  void run(float* out, int64_t begin, int64_t end) const;

 private:
  LinearShape shape_;
  ByteRange range_;
  float scale_;
  std::vector<uint8_t> codes_;  // four samples of all columns after the other
  std::vector<int32_t> offsets_;
  std::vector<int8_t> rows_;  // rounded gradients, all samples of a row
  std::vector<float> steps_;
};

}  // namespace foldstream::train
