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

namespace foldstream {

// A port of a block memory reads `width` bits of one of `words` words.
struct BlockMode {
  int64_t width = 0, words = 0;
};

// Of an architecture's block memories of 18 Kbit, widest first. Throws Error where a block memory
// has another size or no second port to read.
std::span<const BlockMode> block_modes(std::string_view architecture);

// One word is read in every cycle.
struct ConstantMemory {
  int64_t width = 0, depth = 0;
};

// Some columns of some words of a memory, stored in the words of a bank from `offset` on.
struct MemoryPart {
  int64_t memory = 0;
  int64_t first_bit = 0, bits = 0;
  int64_t first_word = 0, words = 0;
  int64_t offset = 0;
};

// Blocks side by side that share their addresses. Part p is read through port p % 2; its columns
// begin at the lowest bit of the bank's words.
struct MemoryBank {
  BlockMode mode;
  int64_t blocks = 0;
  std::vector<MemoryPart> parts;  // 2 * ratio at most

  int64_t width() const { return blocks * mode.width; }
};

struct MemoryPacking {
  std::vector<MemoryBank> banks;
  int64_t blocks = 0;
  int64_t bound = 0;          // no way to store and read these memories takes fewer blocks
  bool optimal = false;       // fewer are impossible, or every way to share was tried
  int64_t bits = 0;           // stored
  double efficiency() const;  // bits stored of those in the blocks
};

// Fewer blocks than this can't hold all bits, or can't read a word of each memory in a cycle.
int64_t block_bound(std::span<const ConstantMemory> memories, int64_t ratio);

// Deterministic: work is limited in steps, not in time. Throws Error for a ratio below 1 and for a
// memory without words or bits.
MemoryPacking pack_memories(std::span<const ConstantMemory> memories,
                            std::span<const BlockMode> modes, int64_t ratio);

}  // namespace foldstream
