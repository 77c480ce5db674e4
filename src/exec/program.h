// SPDX-License-Identifier: Apache-2.0
// The CPU twin: a graph as a list of kernels over one block of memory, planned once. Every value
// has the form that its users ask for; what has no kernel is computed by its meaning (eval).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/exec/crew.h"
#include "src/ir/graph.h"
#include "src/ir/kernel.h"

namespace foldstream::exec {

struct ProgramOptions {
  std::string level;  // instruction set (kernel/level.h); empty: the best
  // Above 0: float inputs come as bytes, and a byte stands for byte / byte_scale in float32.
  double byte_scale = 0;
};

// What the caller gives or gets: frames one after the other, elements in the order of `type`.
struct Port {
  std::string name;
  Type type;
  Storage storage;  // bytes, words, longs or floats
};

struct StepInfo {
  std::string node, op;
  std::string how;       // the form of operand 0, or "eval"
  int64_t products = 0;  // multiply-accumulates of a frame
  Multiplier multiplier = Multiplier::none;
  bool is_kernel = true;  // false: by eval, which allocates
};

struct Plan;

class Program {
 public:
  // Throws Error. The graph may go afterwards.
  Program(const Graph& graph, const ProgramOptions& options);
  ~Program();

  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  const std::vector<StepInfo>& steps() const;
  int64_t memory_bytes() const;  // of a worker

  // Runs `frames` frames on the crew's threads: shares of them, or of every step's work where there
  // are fewer frames than threads. One caller at a time for each crew.
  void run(const std::vector<const void*>& in, const std::vector<void*>& out, int64_t frames,
           Crew& crew) const;

  int64_t tile_frames() const;  // that pass through all steps together

  // The same on this thread alone, adding up the nanoseconds of processor time of each step.
  void profile(const std::vector<const void*>& in, const std::vector<void*>& out, int64_t frames,
               std::vector<int64_t>& nanoseconds) const;

 private:
  std::unique_ptr<Plan> plan_;
};

}  // namespace foldstream::exec
