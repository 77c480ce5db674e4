// SPDX-License-Identifier: Apache-2.0
// What a driver needs for the constants of a design that are not in its bitstream: where they are
// on its bus, what to write there, and what its streams of weights read from memory outside.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/rtl/accelerator.h"
#include "src/rtl/stitch.h"
#include "src/rtl/writable.h"

namespace foldstream {

// The bus words that hold the node's constants as they are in `core`, by addresses of the design's
// bus, memory by memory.
std::vector<BusWord> bus_image(const Node& node, const DesignNode& entry);

// Lines of a byte address and a word, both in hexadecimal.
std::string image_text(const std::vector<BusWord>& image);

// The words of all streams of weights as they lie in memory outside: each stream's at its offset,
// word by word in whole bytes, the lowest first.
std::string memory_image(const Design& design);

// memories.json, the map of the bus and of the streams; NODE.image for each node on the bus;
// weights.bin, the memory image. None for a design that has all its constants in the bitstream.
std::map<std::string, std::string> driver_files(const Design& design, const Graph& core);

// accelerator.json: what a driver must know of an accelerator beside memories.json. Registers,
// slots and frames are in bytes.
std::string accelerator_json(const Accelerator& accelerator, const Design& design,
                             double clock_mhz);

}  // namespace foldstream
