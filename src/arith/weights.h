// SPDX-License-Identifier: Apache-2.0
// What the weights of a layer say about its hardware: how they are stored and what its sums can be.
#pragma once

#include <cstdint>
#include <vector>

#include "src/arith/coding.h"
#include "src/ir/kernel.h"
#include "src/ir/type.h"

namespace foldstream::arith {

using foldstream::Range;

// Of a row of weights [rows, columns] times any vector of that type.
Range row_range(const Tensor& w, int64_t row, const foldstream::Type& in);

// Of a row of so many weights of a type times any vector of a type.
Range row_range(const foldstream::Type& w, int64_t columns, const foldstream::Type& in);

// Of every row, within bounds.
std::vector<Range> row_ranges(const Tensor& w, const foldstream::Type& in, const Range& bound);

// How weights are stored: -1 and +1 in one bit, -1 to 1 in two, others in their narrowest type.
// Looks at every stride-th.
Type weight_type(const Tensor& w, size_t stride = 1);

// How the elements of a vector come.
Type activation_type(const foldstream::Type& type);

}  // namespace foldstream::arith
