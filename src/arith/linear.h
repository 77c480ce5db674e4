// SPDX-License-Identifier: Apache-2.0
// Sums of operands times constant factors, by shifts and additions: each factor in signed digits
// of which no two neighbours are set, all of a sum in one bit heap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct LinearSpec {
  std::string name = "fst_linear";
  std::vector<Type> operands;                      // of a lane; unsigned or signed
  std::vector<std::vector<std::int64_t>> factors;  // [lane][operand]
  std::vector<std::int64_t> addend;                // [lane]; empty: none
  int sum_bits = 8;                                // the sum comes modulo 2**sum_bits
  Family family = Family::kXilinx;
};

// Ports: for each operand operand<i>_i, lane 0 in the low bits; sum_o, sum_bits for each lane.
// Combinational.
Generated linear(const LinearSpec& spec);

}  // namespace foldstream::arith
