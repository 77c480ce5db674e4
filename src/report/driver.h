// SPDX-License-Identifier: Apache-2.0
// What a driver needs to write the constants of a design: where they are on its bus, and images of
// what is there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/rtl/stitch.h"
#include "src/rtl/writable.h"

namespace foldstream {

// The bus words that hold the node's constants as they are in `core`, by addresses of the design's
// bus, memory by memory.
std::vector<BusWord> bus_image(const Node& node, const DesignNode& entry);

// Lines of a byte address and a word, both in hexadecimal.
std::string image_text(const std::vector<BusWord>& image);

// memories.json, the map of the bus, and NODE.image for each writable node; none without any.
std::map<std::string, std::string> driver_files(const Design& design, const Graph& core);

}  // namespace foldstream
