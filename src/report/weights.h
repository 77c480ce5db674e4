// SPDX-License-Identifier: Apache-2.0
// Where the weights of a design are: in its bitstream, in memories that a driver must load first,
// or in memory outside of which they are streamed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// A memory that isn't filled by the bitstream.
struct AbsentWeights {
  const Node* node = nullptr;
  MemoryShape shape;
  MemoryPlace place = MemoryPlace::loaded;
  Cost cost;  // of the memory alone: UltraRAM, or streamed bits a cycle
  double bits() const {
    return static_cast<double>(shape.width) * static_cast<double>(shape.depth);
  }
};

struct WeightsReport {
  std::vector<AbsentWeights> absent;  // in the graph's order
  double bits = 0, absent_bits = 0;   // of all memories of weights, and of those
  // Bits of streamed weights a second: the most at once, what may be, and over whole frames.
  double peak = 0, limit = 0, mean = 0;
};

// `interval`: cycles of a frame. `limit`: see WeightsReport.
WeightsReport weights_report(const Graph& core, Family family, int64_t interval, double clock_mhz,
                             double limit);

// What the user must know: which layers a driver loads, which are streamed, why those and at what
// rate. None where the bitstream has all weights.
std::vector<std::string> weights_notes(const WeightsReport& report);

// report/weights.json
nlohmann::ordered_json weights_json(const WeightsReport& report);

}  // namespace foldstream
