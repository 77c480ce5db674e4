// SPDX-License-Identifier: Apache-2.0
// Thresholding: how many constant thresholds a value has reached, found by a pipelined binary
// search whose thresholds sit in the comparators' tables where few enough share one, and in
// memories where not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/arith/circuit.h"

namespace foldstream::arith {

struct CompareSpec {
  std::string name = "fst_compare";
  int lanes = 1;  // PE
  int folds = 1;  // channels / lanes
  int value_bits = 8;
  bool value_signed = true;
  // thresholds[channel], ascending, as many for every channel; channel = fold * lanes + lane. They
  // may lie outside of the value's range: reached always or never.
  std::vector<std::vector<std::int64_t>> thresholds;
  std::vector<bool>
      inverted;  // channels whose result is the number of thresholds not reached; empty: none
  Family family = Family::kXilinx;
  int levels_per_register =
      1;  // registers after every so many levels of the search and at the end; 0: none
};

// Ports: clk_i where latency > 0; value_i, lane 0 in the low bits; fold_i where folds > 1, valid
// with value_i; result_o, for each lane bits enough for the number of thresholds.
Generated compare(const CompareSpec& spec);

// What it computes, for one channel.
int compare_reference(const CompareSpec& spec, int channel, std::int64_t value);

}  // namespace foldstream::arith
