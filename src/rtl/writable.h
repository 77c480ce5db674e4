// SPDX-License-Identifier: Apache-2.0
// Memories whose words are written over a bus: once, before the first frame, or whenever they shall
// be others while the design runs.
//
// The bus carries 32 bits. A memory's word lies in columns of 32 bits each, the last may have
// fewer: the word at a bus address (counted in 32-bit words from the memory's first) is column
// `address % columns` of word `address / columns`, with the number of columns rounded up to a power
// of two. An answer comes kBusLatency cycles after the design was asked. In UltraRAM a word is
// written with its last column.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/hardware.h"

namespace foldstream {

inline constexpr int64_t kBusLatency = 3;
inline constexpr int64_t kBusBits = 32;

// How a memory lies on the bus.
struct BusRegion {
  explicit BusRegion(const MemoryShape& shape);

  int64_t columns = 1, stride = 1;  // stride: columns rounded up
  int64_t address_bits = 1;         // of the whole region
};

// What a bus write puts there: an address within the region, and the word.
struct BusWord {
  int64_t address = 0;
  uint32_t data = 0;
};
std::vector<BusWord> bus_words(const MemoryShape& shape, const MemoryWords& words);

// A module of that name with the ports of private_rom and, for the bus, bus_write_i, bus_address_i,
// bus_data_i, bus_data_o (the word at the address of the cycle before) and bus_mapped_o (whether
// there is one at the address of this cycle).
Hardware writable_memory(const std::string& module, const OutsideMemory& memory);
Cost writable_memory_cost(const MemoryShape& shape, bool ultra);
// What leads to so many memories: the AXI4-Lite port, registers on the way, the choice of an
// answer.
Cost writable_bus_cost(const std::vector<MemoryShape>& memories);

inline constexpr int64_t kUltraWidth = 72, kUltraWords = 4096;  // of a block of UltraRAM

}  // namespace foldstream
