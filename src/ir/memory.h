// SPDX-License-Identifier: Apache-2.0
// Memories of constant words that a node reads, and where they stand: inside the node's module, or
// outside of it, where whoever builds the top decides what stands behind the ports.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foldstream {

struct Node;

// Where a node's memories stand: its attribute `memory`. Throws Error on any other value.
enum class MemoryPlace { inside, outside };
MemoryPlace memory_place(const Node& node);

struct MemoryShape {
  std::string name;  // "weights"
  int64_t width = 1, depth = 1;
  bool operator==(const MemoryShape&) const = default;
  int64_t address_bits() const;  // of the ports: 1 for a single word
};

// A memory outside its node's module, with its first content. The module has the ports
// <name>_address_o and <name>_word_i; in every cycle the word is that of the address in the cycle
// before. Addresses change freely, whether or not a word is used.
struct OutsideMemory {
  MemoryShape shape;
  std::vector<std::vector<bool>> words;  // shape.depth of shape.width bits, bit 0 first
};

}  // namespace foldstream
