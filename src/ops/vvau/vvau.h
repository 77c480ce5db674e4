// SPDX-License-Identifier: Apache-2.0
// What the files of this operator share: the shape of a node and its folding, in one place.
#pragma once

#include <memory>
#include <optional>

#include "src/arith/weights.h"
#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"
#include "src/window/geometry.h"
#include "src/window/walk.h"

namespace foldstream::vvau {

struct Layer {
  explicit Layer(const Node& node);  // throws Error on an illegal node; folding is not looked at

  window::Geometry g;
  const Tensor* w;
  arith::Range sums;  // of any channel
  Type acc;
  std::optional<Thresholds> thresholds;
  Type out;
};

struct Folding {
  explicit Folding(const Node& node);  // throws Error on an illegal folding

  int64_t pe;
  int64_t lines;  // of the kernel at once: one position, or one of each
  int64_t channel_folds;
  bool scaled;           // thresholds as a multiplication
  MemoryPlace memory;    // where the weights are, if they have one
  int64_t word_latency;  // cycles from an address of that memory to its word
  std::shared_ptr<const window::Walk> walk;
};

// Registers from the issue of a step to the output queue.
int64_t pipeline_stages(const Node& node, const Folding& folding, Family family);

Cost cost(const Node& node, const Rhythm& rhythm, Family family);
std::vector<MemoryShape> memories(const Node& node, Family family);
Hardware emit(const Node& node, const Rhythm& rhythm, Family family, const std::string& instance);

extern const Kernels kernels;

}  // namespace foldstream::vvau
