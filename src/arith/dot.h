// SPDX-License-Identifier: Apache-2.0
// Dot products with weights that come from a memory: `rows` rows of weights against one vector of
// activations, without multipliers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/arith/circuit.h"
#include "src/arith/coding.h"

namespace foldstream::arith {

struct DotSpec {
  std::string name = "fst_dot";
  int rows = 1;   // PE
  int lanes = 1;  // SIMD
  Type weight;
  Type activation;               // unsigned, signed or bipolar
  bool own_activations = false;  // each row has lanes of its own, row 0 first
  int multiplier_bits = 25;      // of the wide side of a DSP block's multiplier
  Family family = Family::kXilinx;
  int levels_per_register = 0;  // see BitHeap; 0: combinational
};

// Ports: clk_i where latency > 0; weights_i, for row r the stored bits of its lanes from r * lanes
// * weight.bits up; activations_i, lane 0 in the low bits; partial_o, for row r an unsigned number
// from r * partial_width up.
//
// The exact sum of w * x over any number of beats is
//     scale * (sum of the beats' partials) + row_constant(all weights of the row, in the same
//     beats)
// so that what does not depend on activations costs nothing: it belongs in the accumulator's
// initial value or the thresholds.
class Dot {
 public:
  explicit Dot(DotSpec spec);

  const DotSpec& spec() const { return spec_; }
  const Generated& module() const { return module_; }
  int partial_width() const { return partial_width_; }
  std::int64_t partial_maximum() const { return partial_maximum_; }  // of one beat
  int scale() const { return spec_.activation.coding == Coding::kBipolar ? 2 : 1; }
  std::int64_t row_constant(std::span<const std::int64_t> row) const;

  // What the weight memory holds for the `lanes` weights that one row uses in one beat: lanes *
  // weight.bits bits, lane 0 first.
  std::vector<bool> stored_bits(std::span<const std::int64_t> beat) const;

 private:
  DotSpec spec_;
  Generated module_;
  int partial_width_ = 0;
  std::int64_t partial_maximum_ = 0;
};

// Whether row_constant depends on the weights: else it is the same for all rows.
bool constant_depends_on_weights(const DotSpec& spec);

// One row of a Dot; remembered, since a folding search asks for the same ones many times.
struct DotRow {
  Cost cost;
  int latency = 0;
};
DotRow dot_row(DotSpec spec);

}  // namespace foldstream::arith
