// SPDX-License-Identifier: Apache-2.0
// Simulates a stitched design with Verilator: bits and cycles of every stream.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/ir/type.h"
#include "src/rtl/stitch.h"
#include "src/rtl/writable.h"

namespace foldstream {

struct BuildOptions {
  bool axi = false;         // the top behind AXI4-Stream and AXI4-Lite; its edges can't be watched
  bool assertions = false;  // check the streams' own rules in every cycle; slower
};

// A design compiled to a program. Kept in the cache folder under a hash of all that went into it,
// so that the second time nothing is built.
class Simulation {
 public:
  explicit Simulation(const Design& design, const BuildOptions& options = {});

  struct Options {
    uint64_t seed = 1;
    // Chance, in each cycle, that an input or a stream of weights pauses before its next beat.
    double input_stall = 0;
    double output_stall = 0;         // chance, in each cycle, that an output isn't taken
    bool watch_edges = false;        // record the streams between nodes, too
    int64_t idle_limit = 1'000'000;  // cycles without any beat after which the design is stuck
    // Written over the bus, after what loaded memories begin with, and read back, before the first
    // frame; read again beside the frames.
    std::vector<BusWord> writes = {};
  };

  struct Trace {
    std::vector<int64_t> cycles;  // in which each beat passed; cycle 0 is the first after reset
    std::vector<uint32_t> words;  // as beats.h lays them out; none for inputs
  };

  struct Result {
    std::vector<Trace> inputs, outputs;  // in the design's order
    std::vector<Trace> weights;          // in the order of Design::weights; no words
    std::vector<Trace> edges;            // where watched, in the order of Design::edges
    int64_t cycles = 0;                  // from the first cycle to the last beat out
  };

  // Frames back to back: frames[f][i] is the operand of input i. Thread-safe. Throws Error when the
  // design stops moving, a written word reads otherwise, or a tlast is not where a frame ends.
  Result run(const std::vector<std::vector<Tensor>>& frames, const Options& options) const;
  Result run(const std::vector<std::vector<Tensor>>& frames) const {
    return run(frames, Options());
  }

  // The results of one frame out of a run.
  std::vector<Tensor> outputs(const Result& result, int64_t frame) const;
  Tensor edge(const Result& result, size_t edge, int64_t frame) const;

  bool was_cached() const { return was_cached_; }
  const Design& design() const { return design_; }

 private:
  Design design_;
  BuildOptions options_;
  std::filesystem::path folder_;
  bool was_cached_ = false;
};

// Cycles from the first beat in to the last beat out of the first frame, and between the last beats
// of the last two frames (0 for a single frame).
struct Timing {
  int64_t cycles = 0, latency = 0, interval = 0;
};
Timing timing(const Design& design, const Simulation::Result& result, int64_t frames);

}  // namespace foldstream
