// SPDX-License-Identifier: Apache-2.0
// Products of two matrices of bytes that both change, as training has them: exact in int32.
#pragma once

#include <cstdint>

namespace foldstream::kernel {

constexpr int64_t kByteRows = 16;     // rows are computed by so many
constexpr int64_t kByteRoom = 64;     // readable bytes behind the last row
constexpr int64_t kByteColumns = 48;  // room, in elements, that the results of a row have too many

// out[r][c] = sum over quads q and j < 4 of rows[r * row_bytes + 4 q + j] * bytes[offsets[q] + 4 c
// + j], or that more where `add`.
struct ByteSums {
  const int8_t* rows = nullptr;  // `count` of them, a multiple of kByteRows; kByteRoom behind
  int64_t count = 0, row_bytes = 0;
  const uint8_t* bytes = nullptr;  // readable 4 * kByteColumns bytes beyond the last column
  const int32_t* offsets = nullptr;
  int64_t quads = 0, columns = 0;
  int64_t largest = 0;  // bound of |rows| times bound of bytes; at most kLargestProduct
  int32_t* out = nullptr;
  int64_t out_stride = 0;  // elements from a row to the next, at least columns + kByteColumns
  bool add = false;
};
// Two products fit in int16.
constexpr int64_t kLargestProduct = 16383;

void byte_sums(const ByteSums& sums);

}  // namespace foldstream::kernel
