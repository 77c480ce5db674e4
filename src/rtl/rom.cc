// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/rom.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Tables of more words would set the delay. A block memory of so many is this wide.
constexpr int64_t kMostTableWords = 512;
constexpr int64_t kBlockWidth = 36;
// Columns of one instance of tables: the time that front ends take for a constant grows with the
// square of its length.
constexpr int64_t kTableColumns = 16;

int64_t banks_of(int64_t depth) { return (depth + 63) / 64; }

// A LUT holds 64 words of one bit or 32 of two, and chooses among four.
double luts_per_bit(int64_t depth) {
  if (depth <= 32) return 0.5;
  const int64_t banks = banks_of(depth);
  return static_cast<double>(banks + (banks + 1) / 3);
}

RomWord part_of(const RomWord& word, int64_t first, int64_t count) {
  return {word.begin() + first, word.begin() + first + count};
}

void add_tables(SvModule& module, const std::string& name, const std::vector<RomWord>& words,
                int64_t width, const std::string& address, const std::string& data) {
  const auto depth = static_cast<int64_t>(words.size());
  const int64_t entries = 64 * banks_of(depth);
  std::vector<bool> table(entries * width);
  for (int64_t b = 0; b < width; ++b) {
    for (int64_t a = 0; a < depth; ++a) table[entries * b + a] = words[a][b];
  }
  module.instance("fst_rom", name,
                  {{"Width", std::to_string(width)},
                   {"Depth", std::to_string(depth)},
                   {"Table", SvModule::constant(table)}},
                  {{"clk_i", "clk_i"}, {"address_i", address}, {"data_o", data}});
}

std::string hexadecimal(const RomWord& word) {
  const auto width = static_cast<int64_t>(word.size());
  std::string digits;
  for (int64_t digit = (width + 3) / 4; digit-- > 0;) {
    int value = 0;
    for (int64_t b = 4 * digit; b < std::min(4 * digit + 4, width); ++b) {
      value |= static_cast<int>(word[b]) << (b - 4 * digit);
    }
    digits += "0123456789abcdef"[value];
  }
  return digits;
}

void add_block(SvModule& module, const std::string& name, const std::vector<RomWord>& words,
               const std::string& address, const std::string& data, std::vector<TextFile>* images) {
  const std::string array = module.fresh(name + "_words");
  add_words(module,
            {array, "rom_style = \"block\"", static_cast<int64_t>(words.size()),
             images != nullptr ? name : ""},
            words, images);
  module.raw(fmt::format("always_ff @(posedge clk_i) {} <= {}[{}];", data, array, address));
}

}  // namespace

TextFile memory_image(const std::string& name, const std::vector<RomWord>& words) {
  TextFile image{name + ".mem", {}};
  for (const RomWord& word : words) image.text += hexadecimal(word) + '\n';
  return image;
}

void add_words(SvModule& module, const WordArray& array, const std::vector<RomWord>& words,
               std::vector<TextFile>* images) {
  module.raw(fmt::format("(* {} *)\nlogic [{}:0] {} [{}];\n", array.style, words[0].size() - 1,
                         array.array, array.entries));
  if (!array.image.empty()) {
    TextFile image = memory_image(array.image, words);
    module.raw(fmt::format("initial $readmemh(\"{}\", {});", image.name, array.array));
    images->push_back(std::move(image));
  } else {
    std::string text = "initial begin\n";
    for (size_t a = 0; a < words.size(); ++a) {
      text += fmt::format("  {}[{}] = {};\n", array.array, a, SvModule::constant(words[a]));
    }
    module.raw(text + "end");
  }
}

RomPlan plan_rom(int64_t width, int64_t depth) {
  const double luts = luts_per_bit(depth);
  const auto of = [&](int64_t table_bits) {
    RomPlan plan{table_bits, width - table_bits, {}};
    plan.cost.lut = luts * static_cast<double>(table_bits);
    plan.cost.ff = static_cast<double>(table_bits);
    if (plan.block_bits > 0)
      plan.cost += block_memory_cost(BlockUse::constants, plan.block_bits, depth);
    return plan;
  };
  if (depth <= 64) return of(width);
  RomPlan best = of(0);
  if (depth > kMostTableWords) return best;
  const auto worth = [](const RomPlan& plan) {
    return plan.cost.lut + kLutsOfBlock * plan.cost.bram18;
  };
  for (const int64_t bits : {width % kBlockWidth, width}) {
    const RomPlan plan = of(bits);
    if (worth(plan) < worth(best)) best = plan;
  }
  return best;
}

void add_rom(SvModule& module, const std::string& name, const std::vector<RomWord>& words,
             const std::string& address, const std::string& data, std::vector<TextFile>* images) {
  FOLDSTREAM_CHECK(!words.empty() && !words[0].empty());
  const auto width = static_cast<int64_t>(words[0].size());
  const RomPlan plan = plan_rom(width, static_cast<int64_t>(words.size()));
  const auto columns = [&](int64_t first, int64_t count) {
    std::vector<RomWord> part;
    for (const RomWord& word : words) part.push_back(part_of(word, first, count));
    return part;
  };
  const auto target = [&](int64_t first, int64_t count) {
    return SvModule::slice(data, static_cast<int>(width), static_cast<int>(first),
                           static_cast<int>(count));
  };
  for (int64_t first = 0; first < plan.table_bits; first += kTableColumns) {
    const int64_t count = std::min(kTableColumns, plan.table_bits - first);
    add_tables(module, module.fresh("u_" + name), columns(first, count), count, address,
               target(first, count));
  }
  if (plan.block_bits > 0) {
    add_block(module, name, columns(plan.table_bits, plan.block_bits), address,
              target(plan.table_bits, plan.block_bits), images);
  }
}

int64_t memory_latency(const Node& node) {
  const int64_t latency = node.integer("memory_latency", 1);
  const int64_t most = memory_place(node) == MemoryPlace::outside ? 2 : 1;
  if (latency < 1 || latency > most) {
    throw Error(
        fmt::format("{}: memory_latency = {}", describe(node), latency),
        most == 1 ? "legal values are 1, and 2 with memory = outside" : "legal values are 1, 2");
  }
  return latency;
}

void add_node_memory(SvModule& module, const Node& node, const std::string& instance,
                     const MemoryShape& shape, const std::vector<RomWord>& words,
                     const std::string& address, Hardware& hardware) {
  const MemoryPlace place = memory_place(node);
  const std::string& name = shape.name;
  module.wire(name, static_cast<int>(shape.width));
  if (place == MemoryPlace::inside) {
    add_rom(module, instance + "_" + name, words, address, name, &hardware.memories);
    return;
  }
  module.output(name + "_address_o", static_cast<int>(shape.address_bits()));
  module.input(name + "_word_i", static_cast<int>(shape.width));
  module.assign(name + "_address_o", address);
  module.assign(name, name + "_word_i");
  hardware.outside.push_back({shape, words, place, in_ultra_ram(node, shape)});
}

Hardware private_rom(const std::string& module, const OutsideMemory& memory, int64_t latency) {
  const MemoryShape& shape = memory.shape;
  SvModule rom(module, fmt::format("Memory: {} words of {} bits.", shape.depth, shape.width),
               fmt::format("Latency {}, interval 1.", latency));
  rom.input("clk_i");
  rom.input("address_i", static_cast<int>(shape.address_bits()));
  rom.output("word_o", static_cast<int>(shape.width));
  rom.wire("word", static_cast<int>(shape.width));
  Hardware hardware;
  add_rom(rom, module, memory.words, "address_i", "word", &hardware.memories);
  rom.assign("word_o", delayed_data(rom, "word", shape.width, latency - 1));
  add_top(rom, hardware);
  return hardware;
}

}  // namespace foldstream
