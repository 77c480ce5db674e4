// SPDX-License-Identifier: Apache-2.0
// Constant words: in look-up tables where there are few, in block memory where there are many, and
// column by column in both where a width would leave a block memory mostly empty.
#pragma once

#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/rtl/sv_module.h"

namespace foldstream {

// A block memory is worth so many LUTs: near what parts have of the one for each of the other.
inline constexpr double kLutsOfBlock = 190;

using RomWord = std::vector<bool>;  // bit 0 first

// An array of words with these at its start, for any kind of memory. They come from the file
// `image`.mem, which is added to `images`, or stand in the text where its name is empty.
struct WordArray {
  std::string array;    // its name, already taken
  std::string style;    // attribute: ram_style = "block"
  int64_t entries = 1;  // at least as many as there are words
  std::string image;
};
void add_words(SvModule& module, const WordArray& array, const std::vector<RomWord>& words,
               std::vector<TextFile>* images);

// The lowest bits of each word are in tables, those above in block memory.
struct RomPlan {
  int64_t table_bits = 0, block_bits = 0;
  Cost cost;  // the register behind the tables included
};
RomPlan plan_rom(int64_t width, int64_t depth);

// The $readmemh image <name>.mem of these words.
TextFile memory_image(const std::string& name, const std::vector<RomWord>& words);

// Adds the memory of these words: the register `data`, which must be declared, is the word at
// `address` one cycle later. Block memory reads `name`.mem, which is added to `images`, or has its
// words in the text where that is null.
void add_rom(SvModule& module, const std::string& name, const std::vector<RomWord>& words,
             const std::string& address, const std::string& data, std::vector<TextFile>* images);

// Cycles from an address of a node's memory to its word: the attribute `memory_latency`, 1 or,
// outside the module alone, 2. Throws Error on any other value.
int64_t memory_latency(const Node& node);

// A memory of a node whose module is called `instance`: inside the module, or ports for one
// outside, as the node says. Declares the wire of the memory's name, the word at `address`
// memory_latency(node) cycles later.
void add_node_memory(SvModule& module, const Node& node, const std::string& instance,
                     const MemoryShape& shape, const std::vector<RomWord>& words,
                     const std::string& address, Hardware& hardware);

// What stands behind an outside memory that shares nothing: a module of that name with the ports
// clk_i, address_i and word_o.
Hardware private_rom(const std::string& module, const OutsideMemory& memory, int64_t latency);

}  // namespace foldstream
