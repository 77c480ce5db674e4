// SPDX-License-Identifier: Apache-2.0
// Comparators for the thresholds that operators carry: where they have registers, and how many.
#pragma once

#include <cstdint>

#include "src/arith/compare.h"
#include "src/arith/weights.h"
#include "src/ir/hardware.h"
#include "src/ir/thresholds.h"
#include "src/rtl/sv_module.h"

namespace foldstream::arith {

Family family_of(foldstream::Family family);
foldstream::Cost resources(const Cost& counted);
// Bits of the wide side of the family's multipliers.
int multiplier_bits(foldstream::Family family);

// A comparator for channel = fold * lanes + lane of values of that type, from which
// `offset[channel]` is missing; an empty `offset` means none is. With one fold for many channels
// all must be equal.
CompareSpec thresholding_spec(const Thresholds& thresholds, int64_t lanes, int64_t folds,
                              const foldstream::Type& value, const std::vector<int64_t>& offset,
                              foldstream::Family family);

// Thresholds that come from a writable memory: a word for each fold holds those of all lanes, then
// a bit for each lane where there are flips. They are compared with sums, less `sums.lo`, of
// reached_bits(sums) bits.
int reached_bits(const Range& sums);
MemoryShape threshold_memory(const Node& node, const Range& sums, int64_t lanes, int64_t folds);
int threshold_memory_latency(int64_t levels);  // of the comparison, from word and sum
Cost threshold_memory_cost(int64_t lanes, int64_t levels, int64_t value_bits);  // the same
// Adds the comparison of `value` with the word in the wire of the memory's name. Gives the wire of
// the results.
std::string add_threshold_count(SvModule& module, const Thresholds& thresholds, bool flips,
                                const MemoryShape& memory, const Range& sums, int64_t lanes,
                                const std::string& value);

// The latency of a comparator with constants, and the cost of one with typical thresholds.
int thresholding_latency(int64_t levels, int64_t folds, foldstream::Family family);
Cost thresholding_cost(int64_t lanes, int64_t levels, int64_t folds, int64_t value_bits,
                       foldstream::Family family);

}  // namespace foldstream::arith
