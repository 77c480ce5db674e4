// SPDX-License-Identifier: Apache-2.0
// What layers by products of bytes have in common: codes, rounded gradients, and the rows of sums.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "src/kernel/byte_sums.h"
#include "src/train/vectorized.h"

namespace foldstream::train {

using kernel::ByteSums;
using kernel::kByteColumns;
using kernel::kByteRoom;
using kernel::kByteRows;

// Of integers, and of the largest magnitude of a weight.
struct ByteRange {
  int64_t lowest = 0, highest = 0, weight = 0;
};

// Codes x / scale less the lowest.
void to_bytes(const float* x, float scale, int64_t lowest, uint8_t* out, int64_t count);
// Codes x / scale.
void to_signed_bytes(const float* x, float scale, int8_t* out, int64_t count);

inline constexpr int64_t kStepsEachWay = 127;  // of a rounded gradient
inline constexpr int64_t kMiddle = 128;        // its byte of 0 where bytes have no sign

// Rounds x * factor, within kStepsEachWay, to one of its two neighbours, to each as often as it is
// near. What decides is drawn from the number itself and its place: the same for every number of
// threads, and when a training goes on from a checkpoint. `middle` is added.
void round_at_random(const float* x, float factor, int32_t middle, uint8_t* out, int64_t count);
// The step of which kStepsEachWay reach that far.
float step_for(float largest);
float largest_magnitude(const float* x, int64_t count);

int64_t sum_of(const int8_t* x, int64_t count);
// (sums + correction) * factor.
void scaled(const int32_t* sums, int32_t correction, float factor, float* out, int64_t count);
// a[0] b[0] c[0] d[0] a[1] ...
void interleave(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                uint8_t* out, int64_t count);

// Whether so many products of at most that size may be added up.
bool fits(int64_t largest, int64_t products);

inline int64_t up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
// 0, step, 2 step ...
std::vector<int32_t> every(int64_t count, int64_t step);

// Of bytes at those offsets, as each_row completes it.
ByteSums sums_of(const std::vector<uint8_t>& bytes, const std::vector<int32_t>& offsets,
                 int64_t columns, int64_t largest);

// f(row, sums of its columns) for `count` rows of `rows`, which are padded to a multiple of
// kByteRows, with kByteRoom behind them; the rest of `sums` says of what. `together` rows, such a
// multiple too, take the same bytes while they are near.
template <class F>
void each_row(ByteSums sums, std::span<const int8_t> rows, int64_t count, const F& f,
              int64_t together = kByteRows) {
  sums.row_bytes = sums.quads * 4;
  sums.out_stride = sums.columns + kByteColumns;
  std::vector<int32_t> results(std::min(together, up(count, kByteRows)) * sums.out_stride);
  sums.out = results.data();
  for (int64_t row = 0; row < count; row += together) {
    sums.rows = rows.data() + row * sums.row_bytes;
    sums.count = std::min(together, up(count - row, kByteRows));
    byte_sums(sums);
    for (int64_t r = row; r < std::min(row + together, count); ++r) {
      f(r, results.data() + (r - row) * sums.out_stride);
    }
  }
}

}  // namespace foldstream::train
