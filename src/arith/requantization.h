// SPDX-License-Identifier: Apache-2.0
// Evenly spaced thresholds as a multiplication: when there are integers with
//
//   clamp((q * multiplier + addend) >> shift, 0, levels)  =  sum over i of (q >= t[i]) xor flip
//
// for every q of a range, and which.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/ir/thresholds.h"

namespace foldstream::arith {

struct Requantization {
  std::vector<int64_t> multiplier, addend;  // for each row of thresholds
  int shift = 0;                            // the smallest for which all rows have them
};

// For rows of thresholds on values lo..hi, given for each row or once for all. Multipliers are
// signed numbers of at most `multiplier_bits` (2 to 24), the shift is at most 31. Nothing when no
// such numbers exist.
std::optional<Requantization> find_requantization(const Thresholds& thresholds,
                                                  std::span<const int64_t> lo,
                                                  std::span<const int64_t> hi,
                                                  int multiplier_bits = 18);

}  // namespace foldstream::arith
