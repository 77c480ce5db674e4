// SPDX-License-Identifier: Apache-2.0
// Dot products whose weights sit in the tables that multiply: for few enough folds there is no
// weight memory at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct DotEmbeddedSpec {
  std::string name = "fst_dot_embedded";
  Type activation;                                              // unsigned, signed or bipolar
  std::vector<std::vector<std::vector<std::int64_t>>> weights;  // [fold][row][lane]
  Family family = Family::kXilinx;
  int levels_per_register = 0;  // see BitHeap; 0: combinational
};

// Ports: clk_i where latency > 0; fold_i where there are several; activations_i, lane 0 in the low
// bits, of the same beat; partial_o, for row r an unsigned number from r * partial_width up.
//
// The exact sum of w * x over any beats is scale * (sum of partials) + (sum of the beats' constants
// of that row).
struct DotEmbedded {
  Generated module;
  int partial_width = 0;
  std::int64_t partial_maximum = 0;                 // of one beat
  int scale = 1;                                    // 2 for bipolar activations
  std::vector<std::vector<std::int64_t>> constant;  // [fold][row]
};
DotEmbedded dot_embedded(const DotEmbeddedSpec& spec);

// Fewer LUTs than that takes, without building it: its tables, and the fewest cells that could add
// their outputs.
double dot_embedded_least_luts(const DotEmbeddedSpec& spec);

// Whether one lane and the fold's index fit a table.
bool dot_embedded_fits(const Type& activation, int folds);

}  // namespace foldstream::arith
