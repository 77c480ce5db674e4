// SPDX-License-Identifier: Apache-2.0
// A constant matrix times vectors of an operand in packed form, with thresholds on the sums:
// whichever way of multiplying suits the weights and the operand.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"

namespace foldstream::kernel {

// Neighbouring elements of an operand, `offset` bytes behind the vector's address.
struct Run {
  int64_t offset = 0, elements = 0;
};

struct MatrixSpec {
  const Tensor* w = nullptr;  // integers [rows, columns]
  int64_t groups = 1;         // of rows, each with columns of its own
  Storage in;                 // of the buffer that vectors lie in
  Range range;                // of the operand
  std::vector<Run> runs;      // the columns of group 0 in order; whole words in bits and trits
  int64_t group_step = 0;     // bytes from a group's columns to the next
  const Thresholds* thresholds = nullptr;
  Storage out;
};

class Matrix {
 public:
  virtual ~Matrix() = default;
  // The vectors at these addresses, to results at those; shares of the rows when there are pieces.
  virtual void run(const std::byte* const* vectors, std::byte* const* outs, int64_t count,
                   int64_t piece, int64_t pieces, std::byte* scratch) const = 0;
  virtual int64_t scratch_bytes() const { return 0; }  // of each caller's `scratch`
  virtual Multiplier multiplier() const = 0;
};

// Null when weights, operand or result don't suit any of them.
std::unique_ptr<Matrix> make_matrix(const MatrixSpec& spec);

// The form in which such a matrix would have operands of that range, `vectors` of them in a frame:
// bits or trits where its weights are -1 to 1, else the one that holds any integers of the range.
// With tiles bytes in place of trits where a frame fills them.
Form matrix_operand(const Tensor& w, Range range, int64_t vectors);

}  // namespace foldstream::kernel
