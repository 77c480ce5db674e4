// SPDX-License-Identifier: Apache-2.0
// A layer fully unfolded: a matrix of constant weights times a vector, every cycle, with the
// thresholds of each row fused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct ConstantMatrixSpec {
  std::string name = "fst_matrix";
  Type activation;                                 // unsigned, signed or bipolar
  std::vector<std::vector<std::int64_t>> weights;  // [row][column]; zeros cost nothing
  std::vector<std::int64_t> bias;                  // added to each row; empty: none
  // Empty: the rows' sums come out. Else thresholds[row], ascending, as many for every row: the
  // count of those reached comes out, or for inverted rows the count of those not reached.
  std::vector<std::vector<std::int64_t>> thresholds;
  std::vector<bool> inverted;  // empty: none
  Family family = Family::kXilinx;
  // Sums of two that are made once for several rows: absent, where that is cheaper, for which the
  // matrix is made both ways.
  std::optional<bool> pairs;
  // Registers: after every so many levels of shared logic and of counters (0: none), before the
  // comparators, and at the outputs.
  int levels_per_register = 0;
  bool register_sums = false;
  bool register_result = false;
};

// How the rows were built, for the curious and for tests.
struct ConstantMatrixReport {
  int heap_rows = 0;    // rows summed from bits of activations
  int shared_rows = 0;  // rows summed from counts of groups of three, made once for all
  int pairs = 0;        // sums of two, made once for several rows
  int table_rows = 0;   // rows looked up whole
  int constant_rows = 0;
};

// Ports: clk_i where latency > 0; activations_i, column 0 in the low bits; then either sums_o, for
// each row sum_width bits of two's complement, or result_o, for each row bits enough for the number
// of thresholds.
struct ConstantMatrix {
  Generated module;
  int sum_width = 0;  // of sums_o; 0 with thresholds
  ConstantMatrixReport report;
};
ConstantMatrix constant_matrix(const ConstantMatrixSpec& spec);

// No more LUTs than that takes, without building it.
double constant_matrix_least_luts(const ConstantMatrixSpec& spec);

// What it computes, for one row.
std::int64_t constant_matrix_reference(const ConstantMatrixSpec& spec, int row,
                                       const std::vector<std::int64_t>& activations);

}  // namespace foldstream::arith
