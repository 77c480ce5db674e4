// SPDX-License-Identifier: Apache-2.0
// Constants that are written at run time: --write NODE.CONSTANT=FILE.npy.
#pragma once

#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/flow/compile.h"
#include "src/rtl/stitch.h"
#include "src/rtl/writable.h"

namespace foldstream {

void add_write_option(const Command& command, std::vector<std::string>& writes);

// Replaces constants of the core as the options say. Gives the nodes that changed, by name.
std::vector<std::string> apply_writes(Graph& core, const std::vector<std::string>& writes,
                                      Family family);

// What the bus of the design must be given for the constants of these nodes.
std::vector<BusWord> bus_image(const Graph& core, const Design& design,
                               const std::vector<std::string>& nodes);

}  // namespace foldstream
