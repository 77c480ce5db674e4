// SPDX-License-Identifier: Apache-2.0
// What Vivado needs to go on from a design: a top in Verilog and scripts for an IP, for size and
// clock out of context, and, on boards with a Zynq, for a bitstream.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "src/boards/boards.h"
#include "src/rtl/accelerator.h"
#include "src/rtl/stitch.h"

namespace foldstream {

// Paths below vivado/ -> text; the scripts name the design's own files, below ../rtl. An
// accelerator is the top where there is one, else the AXI4-Stream top is. `board` may be null.
// Nothing for a part that isn't Vivado's.
std::map<std::string, std::string> vivado_files(const Design& design,
                                                const std::optional<Accelerator>& accelerator,
                                                const Part& part, const Board* board,
                                                double clock_mhz);

}  // namespace foldstream
