// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/writable.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/folding.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

int bits_of_index(int64_t count) { return std::bit_width(static_cast<uint64_t>(count - 1)); }

int column_width(const MemoryShape& shape, int64_t column) {
  return static_cast<int>(std::min(kBusBits, shape.width - column * kBusBits));
}

bool in_blocks(const MemoryShape& shape) { return shape.depth > kLutQueueDepth; }

}  // namespace

BusRegion::BusRegion(const MemoryShape& shape) {
  columns = (shape.width + kBusBits - 1) / kBusBits;
  stride = int64_t{1} << bits_of_index(columns);
  address_bits = std::max(1, bits_of_index(columns) + bits_of_index(shape.depth));
}

std::vector<BusWord> bus_words(const MemoryShape& shape, const MemoryWords& words) {
  const BusRegion region(shape);
  std::vector<BusWord> result;
  for (int64_t word = 0; word < static_cast<int64_t>(words.size()); ++word) {
    for (int64_t column = 0; column < region.columns; ++column) {
      BusWord& next = result.emplace_back(BusWord{word * region.stride + column, 0});
      for (int b = 0; b < column_width(shape, column); ++b) {
        next.data |= static_cast<uint32_t>(words.at(word).at(column * kBusBits + b)) << b;
      }
    }
  }
  return result;
}

namespace {

Hardware ultra_memory(const MemoryShape& shape) {
  Hardware hardware;
  hardware.top = "fst_ultra_memory";
  hardware.parameters = {{"Width", shape.width}, {"Depth", shape.depth}};
  hardware.cells = {hardware.top};
  return hardware;
}

}  // namespace

Hardware writable_memory(const std::string& module, const OutsideMemory& memory) {
  const MemoryShape& shape = memory.shape;
  if (memory.ultra) return ultra_memory(shape);
  const BusRegion region(shape);
  const int column_bits = bits_of_index(region.columns), word_bits = bits_of_index(shape.depth);
  const auto address_bits = static_cast<int>(region.address_bits);
  SvModule ram(module,
               fmt::format("Writable memory: {} words of {} bits.", shape.depth, shape.width),
               "Latency 1, interval 1. A word read in the cycle of its own writing is undefined.");
  ram.input("clk_i");
  ram.input("address_i", static_cast<int>(shape.address_bits()));
  ram.output("word_o", static_cast<int>(shape.width));
  ram.input("bus_write_i");
  ram.input("bus_address_i", address_bits);
  ram.input("bus_data_i", kBusBits);
  ram.output("bus_data_o", kBusBits);
  ram.output("bus_mapped_o");
  ram.wire("bus_word", std::max(word_bits, 1));
  ram.assign("bus_word",
             word_bits > 0 ? SvModule::slice("bus_address_i", address_bits, column_bits, word_bits)
                           : "1'b0");
  std::string mapped;
  const auto below = [&](const std::string& value, int bits, int64_t count) {
    if (bits == 0 || std::has_single_bit(static_cast<uint64_t>(count))) return;
    mapped += fmt::format("{}{} < {}'d{}", mapped.empty() ? "" : " && ", value, bits, count);
  };
  below("bus_word", word_bits, shape.depth);
  if (column_bits > 0) {
    ram.wire("bus_column", column_bits);
    ram.assign("bus_column", SvModule::slice("bus_address_i", address_bits, 0, column_bits));
    ram.wire("bus_column_q", column_bits);
    ram.register_data("bus_column_q", "bus_column");
    below("bus_column", column_bits, region.columns);
  }
  if (word_bits + column_bits == 0) mapped = "!bus_address_i";  // one of two addresses
  ram.assign("bus_mapped_o", mapped.empty() ? "1'b1" : mapped);

  Hardware hardware;
  std::vector<std::string> word, answers;  // most significant first
  for (int64_t column = 0; column < region.columns; ++column) {
    const int width = column_width(shape, column);
    const std::string stem = fmt::format("column_{}", column), array = stem + "_words";
    ram.comment(fmt::format("bits {} to {}", column * kBusBits, column * kBusBits + width - 1));
    MemoryWords content;
    for (const auto& bits : memory.words) {
      content.emplace_back(bits.begin() + column * kBusBits,
                           bits.begin() + column * kBusBits + width);
    }
    add_words(ram,
              {.array = ram.fresh(array),
               .style = in_blocks(shape) ? "ram_style = \"block\"" : "ram_style = \"distributed\"",
               // Memory of look-up tables comes in powers of two.
               .entries = in_blocks(shape) ? shape.depth : int64_t{1} << shape.address_bits(),
               .image = in_blocks(shape) ? fmt::format("{}_{}", module, column) : ""},
              content, &hardware.memories);
    ram.wire(stem + "_q", width);
    ram.wire(stem + "_bus_q", width);
    std::string write = "bus_write_i";
    if (!mapped.empty()) write += " && bus_mapped_o";
    if (column_bits > 0) write += fmt::format(" && bus_column == {}'d{}", column_bits, column);
    ram.raw(fmt::format(
        "always_ff @(posedge clk_i) begin\n  if ({}) {}[bus_word] <= {};\n"
        "  {}_bus_q <= {}[bus_word];\nend\n"
        "always_ff @(posedge clk_i) {}_q <= {}[address_i];",
        write, array, SvModule::slice("bus_data_i", kBusBits, 0, width), stem, array, stem, array));
    word.insert(word.begin(), stem + "_q");
    answers.insert(answers.begin(), width < kBusBits ? fmt::format("{}'({}_bus_q)", kBusBits, stem)
                                                     : stem + "_bus_q");
  }
  ram.comment("both sides");
  ram.assign("word_o", SvModule::concat(word));
  if (column_bits == 0) {
    ram.assign("bus_data_o", answers[0]);
  } else {
    const auto all = static_cast<int>(region.stride * kBusBits);
    if (region.stride > region.columns) {
      answers.insert(answers.begin(),
                     fmt::format("{}'d0", (region.stride - region.columns) * kBusBits));
    }
    ram.wire("answers", all);
    ram.assign("answers", SvModule::concat(answers));
    ram.assign("bus_data_o", fmt::format("answers[{}*bus_column_q+:{}]", kBusBits, kBusBits));
  }
  if (shape.width < kBusBits) {
    ram.wire("unused");
    ram.assign("unused",
               "^" + SvModule::slice("bus_data_i", kBusBits, static_cast<int>(shape.width),
                                     static_cast<int>(kBusBits - shape.width)));
  }
  add_top(ram, hardware);
  return hardware;
}

Cost writable_memory_cost(const MemoryShape& shape, bool ultra) {
  const BusRegion region(shape);
  Cost cost;
  const auto width = static_cast<double>(shape.width),
             columns = static_cast<double>(region.columns);
  if (ultra) {
    const auto parts = [](int64_t size, int64_t of) { return (size + of - 1) / of; };
    const int64_t deep = parts(shape.depth, kUltraWords);
    cost.uram = static_cast<double>(parts(shape.width, kUltraWidth) * deep);
    // A table chooses among four: words among blocks, what the bus reads among columns, too. The
    // columns before the last wait in registers.
    cost.lut = static_cast<double>(shape.width * parts(deep - 1, 3) + region.columns +
                                   kBusBits * parts(region.columns * deep - 1, 3));
    cost.ff = static_cast<double>(kBusBits) * (columns - 1);
    return cost;
  }
  if (in_blocks(shape)) {
    for (int64_t column = 0; column < region.columns; ++column) {
      cost.bram18 +=
          block_memory_cost(BlockUse::both_sides, column_width(shape, column), shape.depth).bram18;
    }
  } else {
    // Two tables a bit, one for each side; of 32 words a table holds two bits.
    cost.lut = shape.depth <= 32 ? width : 2 * width;
    cost.ff = 2 * width;
  }
  // A column's enable, and its place among the answers.
  cost.lut += columns + 32.0 * (columns - 1) / 3;
  cost.ff += static_cast<double>(bits_of_index(region.columns));
  return cost;
}

Cost writable_bus_cost(const std::vector<MemoryShape>& memories) {
  Cost cost;
  if (memories.empty()) return cost;
  int64_t words = 0;
  for (const MemoryShape& memory : memories) words += int64_t{1} << BusRegion(memory).address_bits;
  const double address = bits_of_index(words), count = static_cast<double>(memories.size());
  // fst_axilite: both addresses, data and answer, and what it knows of its transaction.
  cost.lut = 15 + address, cost.ff = 2 * address + 2 * kBusBits + 14;
  // The choice among the answers, and each memory's comparison with its part of the address: 179
  // LUTs for seven memories by Yosys.
  cost.lut += 0.7 * kBusBits * count + 3 * count;
  cost.ff += address + 2 * kBusBits + 2 + count;
  return cost;
}

}  // namespace foldstream
