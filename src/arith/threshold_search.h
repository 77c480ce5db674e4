// SPDX-License-Identifier: Apache-2.0
// The search for the number of thresholds that one value has reached, as a part of other circuits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/arith/circuit.h"

namespace foldstream::arith {

struct ThresholdSearch {
  std::string stem;  // what the nets are named after
  // `count` bits of the value from bit `low` up, as an expression valid in a stage.
  std::function<std::string(int low, int count, int stage)> value;
  int value_bits = 1;
  bool value_signed = false;
  int value_stage = 0;                         // the first stage for `value` and `fold`
  std::function<std::string(int stage)> fold;  // the fold's index in a stage; unused with one fold
  std::vector<std::vector<std::int64_t>> thresholds;  // [fold], ascending, as many in each
  std::vector<bool> inverted;                         // [fold]
  int levels_per_register = 1;                        // and at the end; 0: none
};

// The result, least significant bit first, all in one stage.
std::vector<Net> search_thresholds(Circuit& circuit, const ThresholdSearch& search);

// Registers that a search of so many levels has in any case: those of levels that are memories,
// since their address, found so far behind the fold's index, is wider than a table takes.
int memory_levels(int levels, int fold_bits);

}  // namespace foldstream::arith
