// SPDX-License-Identifier: Apache-2.0
// The options by which a model becomes a design, and the flow from one to the other; shared by the
// commands that make designs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/boards/boards.h"
#include "src/cli/command.h"
#include "src/flow/compile.h"
#include "src/fold/fold.h"
#include "src/fold/queues.h"
#include "src/fold/share_memories.h"
#include "src/report/weights.h"

namespace foldstream {

struct DesignOptions {
  std::string board, part;  // at most one; none: kDefaultPart
  double clock_mhz = 100;
  double fps = 0;    // frames a second to reach, or
  bool max = false;  // the most that the part holds, or
  // The first frame in so many cycles or nanoseconds at most, with fps or max or alone, or
  std::optional<int64_t> latency_cycles;
  std::optional<double> latency_ns;
  bool min_latency = false;  // in as few as the part allows, or
  std::string folding;       // a folding file; none of all these: the smallest hardware
  double share = 0.7;        // of the part, with max and min_latency
  // Budgets of single resources, with a rate or a latency.
  std::optional<int64_t> lut, ff, bram18, uram, dsp;
  std::string input_type;  // "u8": the float input is an integer of this type ...
  double input_scale = 1;  // ... divided by this
  bool standalone_thresholds = false;
  bool pack_memories = false;                 // memories of weights share block memories ...
  int64_t memory_clock_ratio = 1;             // ... read by a clock so many times as fast
  bool least_queues = false;                  // each proved the least
  std::vector<std::string> writable_weights;  // nodes, as make_writable takes them
  std::string weights = "auto";               // where they may be: kWeights
  std::optional<double> weight_gbits;         // that streams of weights may bring in a second
  // Which of all these are on the command line, by the options' names.
  std::function<std::vector<std::string>()> given;
};

// Throws Error where any is given: `path` is a design already.
void refuse_design_options(const DesignOptions& options, const std::string& path);

void add_design_options(const Command& command, DesignOptions& options);
// Those of them that say where the design goes: part, clock, share and budgets.
void add_device_options(const Command& command, DesignOptions& options);
// Those of them that limit the latency.
void add_latency_options(const Command& command, DesignOptions& options);
// Those of them that say where weights may be.
void add_weight_options(const Command& command, DesignOptions& options);
// Those of them that decide about integers alone.
void add_input_options(const Command& command, DesignOptions& options);

CompileOptions compile_options(const DesignOptions& options);
const Part& chosen_part(const DesignOptions& options);
bool has_budget(const DesignOptions& options);
// Most cycles of the first frame; kAnyLatency where nothing is asked.
int64_t latency_limit(const DesignOptions& options);
// In the bitstream if they fit, else loaded before the first frame, else streamed; or what was
// asked.
WeightLevels weight_levels(const DesignOptions& options, const Part& part, double share);
// `share` of the part and of what streams of weights may bring, or as much of a resource as its
// budget says.
Cost budget_on(const Part& part, double share, const DesignOptions& options);

// What sharing saves, for scripts: blocks alone, shared and at least, bits used, banks.
Json memories_json(const SharedMemories& shared);

// A model made into a design: `compiled.parts.core` is folded, with stream nodes and queues.
struct Designed {
  Compiled compiled;
  const Part* part = nullptr;
  QueueResult queues;
  std::map<std::string, int64_t> stream_queues;  // of a folding file: FoldingRemarks
  int64_t latency = kAnyLatency;         // most cycles of the first frame, which the queues keep
  std::optional<SharedMemories> shared;  // with pack_memories
  std::optional<FoldResult> folded;      // of a search
  std::string proof;                     // of that it is optimal, or how far from it it may be
  WeightsReport weights;
  std::vector<std::string> warnings, notes;             // of the report
  std::vector<std::pair<std::string, double>> seconds;  // by step
};

// `name` becomes that of the design.
Designed design(const Graph& model, const std::string& name, const DesignOptions& options);
// Its two halves, for those who have use for the steps in between: the graphs, which the second
// half only changes in `compiled.parts`; foldings and queues.
Designed compiled_design(const Graph& model, const std::string& name, const DesignOptions& options);
void size_design(const DesignOptions& options, Designed& designed);

}  // namespace foldstream
