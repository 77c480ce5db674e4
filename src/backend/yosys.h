// SPDX-License-Identifier: Apache-2.0
// Open synthesis of a stitched design: Yosys for size, nextpnr for place, route, clock and
// bitstream on the families that it knows.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/rtl/stitch.h"

namespace foldstream {

// Counted as mapped. lut: every look-up table, those used as memory or shift register included (a
// carry chain's tables where the family counts them so); srl: of those, the shift registers;
// bram18: blocks of memory in units of 18 Kbit.
struct Resources {
  double lut = 0, srl = 0, ff = 0, bram18 = 0, uram = 0, dsp = 0;
  Resources& operator+=(const Resources& other);
};

struct SynthesisOptions {
  double clock_mhz = 100;                                   // that place and route aim for
  int64_t seed = 1;                                         // of the placer
  bool place = true;                                        // false: stop after counting
  std::chrono::seconds limit = std::chrono::seconds(1800);  // for each program
};

struct SynthesisResult {
  Resources total;  // nodes and what joins them
  // By the node's name, in order; memories that nodes share are "shared memories".
  std::vector<std::pair<std::string, Resources>> nodes;
  std::optional<double> fmax_mhz;  // after routing
  std::optional<std::filesystem::path> bitstream;
  std::string unplaced;  // why there is no fmax
};

// The families whose designs can be synthesized here, for messages.
std::string synthesis_devices();

// Reports, logs and the bitstream go to `folder`. The design's family must be the part's. Throws
// Error when a program fails; a design that does not fit or does not route in time is a result.
SynthesisResult synthesize(const Design& design, const Part& part, const SynthesisOptions& options,
                           const std::filesystem::path& folder);

}  // namespace foldstream
