// SPDX-License-Identifier: Apache-2.0
// Memories of nodes that share block memories: the modules of the banks that hold their words, and
// those that stand behind a node's memory and read its parts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// A port of a block memory reads `width` bits of one of `words` words.
struct BlockMode {
  int64_t width = 0, words = 0;
  bool operator==(const BlockMode&) const = default;
};

// Some columns of some words of a memory, stored in the words of a bank from `offset` on; its
// columns begin at the lowest bit of the bank's words.
struct MemoryPart {
  int64_t memory = 0;  // of those that share
  int64_t first_bit = 0, bits = 0;
  int64_t first_word = 0, words = 0;
  int64_t offset = 0;
};

// Blocks side by side that share their addresses. Part p is read through port p % 2.
struct MemoryBank {
  BlockMode mode;
  int64_t blocks = 0;
  std::vector<MemoryPart> parts;  // 2 * ratio at most

  int64_t width() const { return blocks * mode.width; }
};

// Where the memory of a node has its words: attribute `memory_parts`, for each part the bank, its
// mode (width, words), its blocks, the part's place among the bank's, then the fields of MemoryPart
// from first_bit on. Columns below `first_shared` that no part holds are look-up tables.
struct SharedPart {
  int64_t bank = 0, place = 0, blocks = 0;
  BlockMode mode;
  MemoryPart part;
};
std::vector<SharedPart> shared_parts(const Node& node);  // empty: the node shares nothing
void set_shared_parts(Node& node, const std::vector<SharedPart>& parts);
// How many times as fast as the compute clock the banks of a graph are read: the attribute
// `memory_clock_ratio` of its nodes, 1 when absent. Throws Error when nodes differ.
int64_t memory_clock_ratio(const Graph& graph);

// The bank's module: for each part p part<p>_address_i and part<p>_word_o; clk_i, and with a ratio
// above 1 memory_clk_i and rst_i. `contents` are the words of each part. Latency 1, or 2.
Hardware memory_bank(const std::string& module, const MemoryBank& bank,
                     const std::vector<std::vector<std::vector<bool>>>& contents, int64_t ratio);

// What stands behind a node's memory: clk_i, address_i and word_o, and for each part p
// part<p>_address_o and part<p>_word_i. Throws Error unless the parts hold every bit above the
// tables once.
Hardware shared_memory(const std::string& module, const OutsideMemory& memory, int64_t latency,
                       const std::vector<SharedPart>& parts);

// Of a node's own: its tables, what chooses among its parts, and its reads. The blocks of a bank
// count for the node of its first part.
Cost shared_memory_cost(const MemoryShape& shape, const std::vector<SharedPart>& parts,
                        int64_t ratio);

}  // namespace foldstream
