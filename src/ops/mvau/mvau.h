// SPDX-License-Identifier: Apache-2.0
// What the files of this operator share: the shape of a node and its folding, in one place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/arith/weights.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"

namespace foldstream::mvau {

struct Shape {
  explicit Shape(const Node& node);  // throws Error on an illegal node; folding is not looked at

  const Tensor* w;
  int64_t rows, columns;  // MH, MW
  int64_t groups;         // of rows, each with columns of its own
  int64_t vectors;        // in a frame; each has groups * columns elements
  arith::Range sums;      // of any row
  Type in, acc;           // acc: element type of `sums`
  std::optional<Thresholds> thresholds;
  Type out;
};

struct Folding {
  explicit Folding(const Node& node);  // throws Error on an illegal folding

  int64_t pe, simd;
  int64_t row_folds, column_folds;  // NF, SF
  bool dsp;                         // products in DSP blocks
  bool scaled;                      // thresholds as a multiplication
  MemoryPlace memory;               // where the weights are, if they have one
  int64_t word_latency;             // cycles from an address of that memory to its word
  int64_t groups;
  int64_t group_row_folds;  // that one group's columns serve
  int64_t reuse;            // vectors in a row that a streamed word of weights serves
};

// Whether products may go into DSP blocks: factors of more than a few bits.
bool may_use_dsp(const Node& node);

// The legal values of `reuse`.
std::vector<int64_t> reuses(const Node& node);

// Registers from the issue of a step to the output queue, or to where a group's results are kept.
int64_t pipeline_stages(const Node& node, const Folding& folding, Family family);

// With `reuse`, steps between a group's last product and the first of its results to be given.
int64_t idle_steps(const Node& node, const Folding& folding, Family family);

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in);

// `least`: a bound below it that needs no netlist.
Cost cost(const Node& node, const Rhythm& rhythm, Family family, bool least);
std::vector<MemoryShape> memories(const Node& node, Family family);
Hardware emit(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance);

extern const Kernels kernels;

}  // namespace foldstream::mvau
