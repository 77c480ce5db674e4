// SPDX-License-Identifier: Apache-2.0
// What becomes of the sums of a matrix: stored as they are, or counted against thresholds and
// packed in the form that the result is wanted in. Made once; finish-inl.h applies it to a vector
// of sums of neighbouring rows.
#pragma once

#include <cstdint>
#include <vector>

#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"
#include "src/kernel/aligned.h"

namespace foldstream::kernel {

struct FinishSpec {
  int64_t rows = 0;
  std::vector<int64_t> addend;             // [rows]: a row's result is its raw sum plus this
  std::vector<Range> raw;                  // [rows]: of the raw sums
  const Thresholds* thresholds = nullptr;  // on the result
  Storage out;
};

// Whether a result can be stored in that form at all.
bool can_finish(const FinishSpec& spec);

// How a block's levels are found.
enum class Way : uint8_t {
  line,         // evenly spaced thresholds: sum * scale + offset in float32, to the nearest level
  line_inside,  // that holds from a row's first threshold on and below its last
  line_above,   // that is there the level or the one above it, which a threshold tells
  count,        // by comparing with every threshold
};
// From here to twice as far floats are the integers, and their lowest bits count from 0 up.
inline constexpr float kIntegers = 8388608;  // 2^23

// `Sum` is the type of a lane. Rows come in blocks of `lanes`; every array holds, block by block,
// one entry a lane, for rows behind the last one such that they give zero bits.
template <class Sum>
struct Finish {
  Form form = Form::words;
  int64_t rows = 0, lanes = 1, levels = 0;
  // Raw sums reach level i when they are at least t[(block * (levels + 2) + i) * lanes + lane];
  // all reach 0, none levels + 1.
  AlignedVector<Sum> t;
  AlignedVector<Sum> flip;    // all bits set where the count is taken from `levels`
  AlignedVector<Sum> addend;  // without thresholds
  bool any_flip = false;

  // Lines are found for int32 sums, and proved at every threshold.
  std::vector<Way> way;  // of a block
  AlignedVector<float> scale, offset;

  Finish() = default;
  Finish(const FinishSpec& spec, int64_t lanes_of_block);
  int64_t blocks() const { return (rows + lanes - 1) / lanes; }
};

}  // namespace foldstream::kernel
