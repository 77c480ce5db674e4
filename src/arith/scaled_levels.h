// SPDX-License-Identifier: Apache-2.0
// The thresholds of a node as a multiplication, where both are equal on every value there can be:
//
//   sum over i of (x >= t[c, i]) xor flip[c]  =  clamp((x * multiplier[c] + addend[c]) >> shift, 0,
//   levels)
//
// A node that carries `multiplier` and `addend`, integers of as many rows as `t` has, and `shift`
// may have one multiplier a lane instead of comparators and their tables: the folding attribute
// `scaled`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/arith/circuit.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"

namespace foldstream::arith {

// Finds and adds them for thresholds on values of these ranges, one for each row or one for all.
// False where there are none: the node stays as it is.
bool add_scaling(Node& node, const Thresholds& thresholds, std::span<const Range> ranges);

// Throws Error unless what the node carries gives the levels of its thresholds on all values of
// the ranges.
void check_scaling(const Node& node, const Thresholds& thresholds, std::span<const Range> ranges);

bool has_scaling(const Node& node);
// Whether the folding may choose: not where thresholds can be written.
bool may_scale(const Node& node);
// The attribute `scaled`; throws Error where the node can't be.
bool is_scaled(const Node& node);

struct LevelsSpec {
  std::string name = "fst_levels";
  int lanes = 1, folds = 1;  // channel = fold * lanes + lane
  foldstream::Type value;    // from which offset[channel] is missing; empty: from none
  std::vector<int64_t> offset;
};

// The node's constant thresholds as its folding has them, a multiplication or comparators, with the
// ports of compare(): clk_i where latency > 0, value_i, fold_i where folds > 1, result_o.
Generated levels(const Node& node, const Thresholds& thresholds, const LevelsSpec& spec,
                 foldstream::Family family);
int levels_latency(const Node& node, int64_t folds, foldstream::Family family);
// Of all lanes.
foldstream::Cost levels_cost(const Node& node, int64_t lanes, int64_t folds, int64_t value_bits,
                             foldstream::Family family);

}  // namespace foldstream::arith
