// SPDX-License-Identifier: Apache-2.0
// Streamlining: from the float graph of a model to one in which everything between the first and
// the last quantizer is integers. Not a list of rewrites: every value is described (lowering.h) in
// one walk, and each quantizer becomes thresholds found exactly, through the reference itself, over
// the whole range its operand can take.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/lowering.h"

namespace foldstream {

// What isn't known to keep or to turn the order of integers is tried out on all of them, up to so
// many.
inline constexpr int64_t kMostTried = int64_t{1} << 16;

// How a float graph input is made: code / divisor + offset, the code an integer of this type.
// Pixels presented as p / 255 are {8, false, 255, 0}, inputs that are -1 or +1 are {1, false, 0.5,
// -1}.
struct InputFormat {
  int bits = 8;
  bool is_signed = false;
  double divisor = 1;
  double offset = 0;
};

struct StreamlineOptions {
  // By graph input; an input without a format stays float, and its first quantizer is computed on
  // the host.
  std::map<std::string, InputFormat> inputs;
  // For every input that `inputs` doesn't name.
  std::optional<InputFormat> every_input;
};

struct Streamlined {
  Graph graph;
  std::vector<Finding> findings;  // one a source node, in order
};

// Equal to the reference wherever the reference itself is exact; docs/streamlining.md says where
// float32 rounding leaves room and how it is counted. Throws Error on a format for an input that
// doesn't exist or doesn't fit.
Streamlined streamline(const Graph& source, const StreamlineOptions& options);

}  // namespace foldstream
