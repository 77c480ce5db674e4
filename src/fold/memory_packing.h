// SPDX-License-Identifier: Apache-2.0
// Sharing block memories among memories of constant words. A block memory has two ports to read; a
// memory clock of `ratio` times the compute clock reads through each of them `ratio` times a cycle.
// So one block serves 2 * ratio parts of memories, one below the other in its words, and each of
// them is read once in every cycle of the compute clock, as if it were alone.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "src/rtl/shared_memory.h"

namespace foldstream {

// Of an architecture's block memories of 18 Kbit, widest first. Throws Error where a block memory
// has another size or no second port to read.
std::span<const BlockMode> block_modes(std::string_view architecture);

// One word is read in every cycle.
struct ConstantMemory {
  int64_t width = 0, depth = 0;
};

struct MemoryPacking {
  std::vector<MemoryBank> banks;
  int64_t blocks = 0;
  int64_t bound = 0;          // no way to cut the memories into parts takes fewer blocks
  bool optimal = false;       // as few as the bound, or every way to share was tried
  int64_t bits = 0;           // stored
  double efficiency() const;  // bits stored of those in the blocks
};

// Fewer blocks than this can't hold all bits, or can't read a word of each memory in a cycle when
// each part takes a read of its own.
int64_t block_bound(std::span<const ConstantMemory> memories, int64_t ratio);

// Deterministic: work is limited in steps, not in time. Throws Error for a ratio below 1 and for a
// memory without words or bits.
MemoryPacking pack_memories(std::span<const ConstantMemory> memories,
                            std::span<const BlockMode> modes, int64_t ratio);

}  // namespace foldstream
