// SPDX-License-Identifier: Apache-2.0
// Memories of constant words that a node reads, and where they stand: inside the node's module, or
// outside of it, where whoever builds the top decides what stands behind the ports; or nowhere,
// where the words arrive as a stream.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/type.h"

namespace foldstream {

struct Node;

// Where a node's memories stand: its attribute `memory`.
enum class MemoryPlace {
  inside,    // in the node's module
  outside,   // beside it
  loaded,    // beside it, empty until its words are written over the bus, before the first frame
  writable,  // beside it; takes other words while the design runs, and holds everything that
             // depends on the constants it is for
  streamed,  // nowhere: the words arrive as a stream, as often as they are read
};
// Throws Error on any other value.
MemoryPlace memory_place(const Node& node);

// How the elements of a constant tensor lie in the words of a memory: element by element, with the
// steps of nested loops, the outermost first. What is stored is the element plus `offset`, within
// [least, greatest]: an element beyond is refused, or counts as the nearest with `saturates`.
struct MemoryField {
  struct Loop {
    int64_t count = 1;
    int64_t element = 0, word = 0, bit = 0;  // steps
    bool operator==(const Loop&) const = default;
  };
  std::string tensor;  // of the node's constants
  int64_t bits = 1, bit = 0;
  int64_t offset = 0, least = 0, greatest = 1;
  bool saturates = false;
  std::vector<Loop> loops;
  bool operator==(const MemoryField&) const = default;
};

struct MemoryShape {
  std::string name;  // "weights"
  int64_t width = 1, depth = 1;
  std::vector<MemoryField> fields = {};  // of a writable memory
  int64_t reads = 0;  // of all words in their order, in a frame; 0: they are read in another order
  bool operator==(const MemoryShape&) const = default;
  int64_t address_bits() const;  // of the ports: 1 for a single word
};

using MemoryWords = std::vector<std::vector<bool>>;  // bit 0 first

// The words that hold the node's constants as the fields say. Throws Error where a value is
// refused.
MemoryWords memory_words(const Node& node, const MemoryShape& shape);

// Whether a memory is in UltraRAM, which no bitstream fills: a loaded one always, a writable one of
// many words where the node's attribute `ultra` is 1.
bool in_ultra_ram(const Node& node, const MemoryShape& shape);

// A memory outside its node's module, with its content. The module has the ports <name>_address_o
// and <name>_word_i; in every cycle the word is that of the address in the cycle before. Addresses
// change freely, whether or not a word is used. The module of a streamed one has <name>_valid_i,
// <name>_ready_o and <name>_data_i instead.
struct OutsideMemory {
  MemoryShape shape;
  MemoryWords words;  // shape.depth of shape.width bits
  MemoryPlace place = MemoryPlace::outside;
  bool ultra = false;

  bool on_bus() const { return place == MemoryPlace::loaded || place == MemoryPlace::writable; }
};

}  // namespace foldstream
