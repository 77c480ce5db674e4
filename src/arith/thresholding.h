// SPDX-License-Identifier: Apache-2.0
// Comparators for the thresholds that operators carry: where they have registers, and how many.
#pragma once

#include <cstdint>

#include "src/arith/compare.h"
#include "src/ir/hardware.h"
#include "src/ir/thresholds.h"

namespace foldstream::arith {

Family family_of(foldstream::Family family);
// Bits of the wide side of the family's multipliers.
int multiplier_bits(foldstream::Family family);

// A comparator for channel = fold * lanes + lane of values of that type, from which
// `offset[channel]` is missing; an empty `offset` means none is. With one fold for many channels
// all must be equal.
CompareSpec thresholding_spec(const Thresholds& thresholds, int64_t lanes, int64_t folds,
                              const foldstream::Type& value, const std::vector<int64_t>& offset,
                              foldstream::Family family);

// The latency of such a comparator, and the cost of one lane of typical thresholds.
int thresholding_latency(int64_t levels, int64_t folds, foldstream::Family family);
Cost thresholding_cost(int64_t levels, int64_t folds, int64_t value_bits,
                       foldstream::Family family);

}  // namespace foldstream::arith
