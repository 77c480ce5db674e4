// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>
#include <vector>

#include "src/ir/folding.h"

namespace foldstream {

void add_block_ports(SvModule& module, int64_t width_in, int64_t width_out) {
  module.input("clk_i");
  module.input("rst_i");
  add_stream_in(module, 0, 1, width_in);
  add_stream_out(module, 0, 1, width_out);
}

namespace {

std::string prefix_of(char side, size_t index, size_t count) {
  return count == 1 ? std::string(1, side) : fmt::format("{}{}", side, index);
}

std::vector<std::string> delay_line(SvModule& module, const std::string& signal, int64_t width,
                                    int64_t stages) {
  std::vector<std::string> names{signal};
  for (int64_t stage = 1; stage <= stages; ++stage) {
    names.push_back(module.fresh(fmt::format("{}_{}_q", signal, stage)));
    module.wire(names.back(), static_cast<int>(width));
  }
  return names;
}

}  // namespace

std::string delayed_control(SvModule& module, const std::string& signal, int64_t stages) {
  const auto names = delay_line(module, signal, 1, stages);
  for (size_t i = 1; i < names.size(); ++i) {
    module.register_control(names[i], names[i - 1], "1'b0");
  }
  return names.back();
}

std::string delayed_data(SvModule& module, const std::string& signal, int64_t width,
                         int64_t stages) {
  const auto names = delay_line(module, signal, width, stages);
  for (size_t i = 1; i < names.size(); ++i) module.register_data(names[i], names[i - 1]);
  return names.back();
}

int add_fold_counter(SvModule& module, const std::string& name, int64_t count,
                     const std::string& advance) {
  if (count == 1) return 0;
  const int width = std::bit_width(static_cast<uint64_t>(count - 1));
  module.wire(module.fresh(name), width);
  const std::string next =
      (count & (count - 1)) == 0
          ? fmt::format("{} + 1'b1", name)
          : fmt::format("{} == {}'d{} ? {}'d0 : {} + 1'b1", name, width, count - 1, width, name);
  module.register_control(name, fmt::format("{} ? ({}) : {}", advance, next, name),
                          fmt::format("{}'d0", width));
  return width;
}

void add_beat_issue(SvModule& module) {
  module.comment("Issue: one beat in, one beat out");
  module.wire("available");
  module.wire("issue");
  module.assign("s_ready_o", "available");
  module.assign("issue", "s_valid_i && available");
}

void add_stream_in(SvModule& module, const std::string& prefix, int64_t width) {
  module.input(prefix + "_valid_i");
  module.output(prefix + "_ready_o");
  module.input(prefix + "_data_i", static_cast<int>(width));
}

std::string add_stream_in(SvModule& module, size_t index, size_t count, int64_t width) {
  std::string prefix = prefix_of('s', index, count);
  add_stream_in(module, prefix, width);
  return prefix;
}

std::string add_stream_out(SvModule& module, size_t index, size_t count, int64_t width) {
  std::string prefix = prefix_of('m', index, count);
  module.output(prefix + "_valid_o");
  module.input(prefix + "_ready_i");
  module.output(prefix + "_data_o", static_cast<int>(width));
  return prefix;
}

HeldInput add_holding_register(SvModule& module, const std::string& port, const std::string& name,
                               int64_t width) {
  HeldInput held{fmt::format("held_{}_valid", name), fmt::format("held_{}_data", name),
                 "take_" + name};
  module.wire(held.valid);
  module.wire(held.data, static_cast<int>(width));
  module.wire(held.take);
  module.instance("fst_skid", "u_hold_" + name, {{"Width", std::to_string(width)}},
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"s_valid_i", port + "_valid_i"},
                   {"s_ready_o", port + "_ready_o"},
                   {"s_data_i", port + "_data_i"},
                   {"m_valid_o", held.valid},
                   {"m_ready_i", held.take},
                   {"m_data_o", held.data}});
  return held;
}

std::vector<HeldInput> add_held_inputs(SvModule& module, const std::vector<int64_t>& widths) {
  module.comment("Holding registers");
  std::vector<HeldInput> inputs;
  for (size_t i = 0; i < widths.size(); ++i) {
    const std::string port = add_stream_in(module, i, widths.size(), widths[i]);
    inputs.push_back(add_holding_register(module, port, std::to_string(i), widths[i]));
  }
  return inputs;
}

Cost hold_cost(int64_t width) {
  Cost cost;
  cost.lut = static_cast<double>(width) + 3;
  cost.ff = 2 * static_cast<double>(width) + 2;
  return cost;
}

void add_join_issue(SvModule& module, const std::vector<HeldInput>& inputs) {
  module.comment("Issue: one beat of each input in, one beat out");
  module.wire("available");
  module.wire("issue");
  std::string issue = "available";
  for (const HeldInput& input : inputs) issue += " && " + input.valid;
  module.assign("issue", issue);
  for (const HeldInput& input : inputs) module.assign(input.take, "issue");
}

void add_output_queue(SvModule& module, const Rhythm& rhythm, int64_t width,
                      const std::string& give, const std::string& push, const std::string& data,
                      const std::string& stream) {
  module.comment("Output queue");
  const std::string suffix = stream == "m" ? "" : "_" + stream;
  const std::string pop = module.fresh("pop" + suffix);
  module.wire(pop);
  const std::string depth = std::to_string(rhythm.queue);
  module.instance("fst_credit", "u_credit" + suffix, {{"Depth", depth}},
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"take_i", give},
                   {"give_i", pop},
                   {"available_o", "available" + suffix}});
  SvBindings parameters{{"Width", std::to_string(width)}, {"Depth", depth}};
  if (rhythm.queue > kLutQueueDepth) parameters.emplace_back("BlockRam", "1'b1");
  module.instance("fst_queue", "u_queue" + suffix, parameters,
                  {{"clk_i", "clk_i"},
                   {"rst_i", "rst_i"},
                   {"push_i", push},
                   {"push_data_i", data},
                   {"m_valid_o", stream + "_valid_o"},
                   {"m_ready_i", stream + "_ready_i"},
                   {"m_data_o", stream + "_data_o"},
                   {"pop_o", pop}});
}

std::string widened(SvModule& module, const std::string& name, const std::string& signal,
                    int64_t lanes, const Type& type, int64_t bits) {
  if (type.bits == bits) return signal;
  const auto width = static_cast<int>(lanes * type.bits);
  std::vector<std::string> parts;  // most significant first
  for (auto lane = static_cast<int>(lanes); lane-- > 0;) {
    const int low = lane * type.bits;
    const std::string sign =
        type.is_signed ? SvModule::bit(signal, width, low + type.bits - 1) : "1'b0";
    parts.push_back(fmt::format("{{{}{{{}}}}}", bits - type.bits, sign));
    parts.push_back(SvModule::slice(signal, width, low, type.bits));
  }
  module.wire(name, static_cast<int>(lanes * bits));
  module.assign(name, SvModule::concat(parts));
  return name;
}

std::string with_sign(const Type& type, const std::string& value) {
  return type.is_signed ? fmt::format("$signed({})", value)
                        : fmt::format("$signed({{1'b0, {}}})", value);
}

namespace {

struct Blocks {
  int64_t count = 0;  // of 18 Kbit
  int64_t rows = 1;   // of words, each as long as a block is deep
};

// A block of 18 Kbit is at most as wide as its ports allow, and half as wide each time it is twice
// as deep; a pair is twice as wide. Synthesis takes what it finds cheapest: a block 129, a pair
// 257, half for every bit that is chosen among rows, and half for every row's enable. Rows stand
// side by side without a gap, but where words are written they fill bytes of 9 bits.
Blocks blocks_of(BlockUse use, int64_t width, int64_t depth) {
  constexpr int64_t kBlockBits = 18 * 1024, kByte = 9, kBlock = 129, kPair = 257;
  const int64_t widest = use == BlockUse::both_sides ? 18 : 36;
  Blocks best;
  double least = 0;
  for (const int64_t size : {1, 2}) {
    for (int64_t lanes = size * widest, words = kBlockBits / widest; lanes >= 1;
         lanes /= 2, words *= 2) {
      const int64_t byte = use == BlockUse::constants ? 1 : std::min(kByte, lanes);
      const int64_t rows = (depth + words - 1) / words;
      const int64_t bits = rows * ((width + byte - 1) / byte * byte);
      const int64_t count = (bits + lanes - 1) / lanes;
      const int64_t enables = use == BlockUse::constants || rows == 1 ? 0 : rows;
      const double price = static_cast<double>(count * (size == 1 ? kBlock : kPair)) +
                           static_cast<double>((rows - 1) * width + enables) / 2;
      if (best.count == 0 || price < least) {
        best = {size * count, rows};
        least = price;
      }
    }
  }
  return best;
}

}  // namespace

int64_t stages_of(const Rhythm& rhythm) {
  return rhythm.depth - 1 - (rhythm.queue > kLutQueueDepth ? 1 : 0);
}

Cost counter_cost(int64_t count) {
  const int bits = std::bit_width(static_cast<uint64_t>(count - 1));
  Cost cost;
  cost.ff = bits;
  // Of two bits each is a table; more are a carry chain on the registers alone. Where it doesn't
  // wrap by itself all bits but the lowest are cleared besides. Whether it is at its last is asked.
  const bool wraps = (count & (count - 1)) == 0;
  if (bits > 0) {
    cost.lut = bits <= 2 ? bits - (wraps ? 1 : 0) : wraps ? 0 : bits - 1;
    cost.lut += (bits + 5) / 6;
  }
  return cost;
}

Cost fold_counter_cost(int64_t count) {
  const int bits = std::bit_width(static_cast<uint64_t>(count - 1));
  Cost cost;
  cost.ff = bits;
  // A carry chain on the registers alone, whose enable and reset are the registers' own; the reset
  // compares with the last.
  if ((count & (count - 1)) != 0) cost.lut = 1.5 + bits / 3.0;
  return cost;
}

Cost block_memory_cost(BlockUse use, int64_t width, int64_t depth) {
  const Blocks blocks = blocks_of(use, width, depth);
  Cost cost;
  cost.bram18 = static_cast<double>(blocks.count);
  // A LUT chooses a bit of four rows; of more it takes as many as synthesis does for 5, 7, 9
  // and 13. A row that is written has its enable.
  if (blocks.rows > 1) {
    const int64_t luts = blocks.rows <= 4   ? 1
                         : blocks.rows <= 6 ? 2
                         : blocks.rows <= 8 ? 4
                                            : 5 * ((blocks.rows + 15) / 16);
    cost.lut = static_cast<double>(width * luts + (use == BlockUse::constants ? 0 : blocks.rows));
    cost.ff = std::bit_width(static_cast<uint64_t>(blocks.rows - 1));
  }
  return cost;
}

namespace {

// Four LUTs hold six bits of 32 words or three of 64.
int64_t lut_memory_cells(int64_t width, int64_t depth) {
  const int64_t bits = depth <= 32 ? 6 : 3;
  return (depth + 63) / 64 * ((width + bits - 1) / bits);
}

Cost lut_memory_cost(int64_t width, int64_t depth) {
  const int64_t banks = (depth + 63) / 64;
  if (banks == 2 && width == 1) return {.lut = 4};  // a cell of its own
  Cost cost;
  cost.lut = 4.0 * static_cast<double>(lut_memory_cells(width, depth));
  if (banks > 1) cost.lut += static_cast<double>((width + 1) * banks) / 2;
  return cost;
}

}  // namespace

Cost memory_cost(int64_t width, int64_t depth) {
  // Synthesis keeps a deep memory of few bits in LUTs, where words are chosen among banks.
  constexpr int64_t kMostCells = 16, kMostBits = 2600;
  const bool block = depth > kLutQueueDepth &&
                     (lut_memory_cells(width, depth) > kMostCells || width * depth > kMostBits);
  return block ? block_memory_cost(BlockUse::written, width, depth) : lut_memory_cost(width, depth);
}

double adder_luts(const Type& a, const Type& b, int64_t bits) {
  constexpr int64_t kWithoutChain = 2;
  const auto& [narrow, wide] = a.bits < b.bits ? std::tie(a, b) : std::tie(b, a);
  const int64_t pairs = narrow.is_signed ? wide.bits : narrow.bits;
  return static_cast<double>(bits <= kWithoutChain ? bits : std::min(bits, pairs));
}

Cost one_port_memory_cost(int64_t width, int64_t depth) {
  // Four LUTs hold eight bits of 32 words; one holds a bit of 64, and four at most one together.
  constexpr int64_t kMostWords = 256;
  const auto words = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(depth)));
  Cost cost;
  if (depth <= 32) {
    cost.lut = static_cast<double>(4 * ((width + 7) / 8));
  } else if (depth <= kMostWords) {
    cost.lut = static_cast<double>(width * words / 64);
  } else {
    const int64_t banks = (depth + kMostWords - 1) / kMostWords;
    cost.lut = static_cast<double>(4 * width * banks + (width + 1) * banks / 2);
  }
  return cost;
}

bool in_multiplier(int64_t a_bits, int64_t b_bits, int64_t product_bits, Family family) {
  constexpr int64_t kMostInTables = 8;
  return family != Family::generic && product_bits > kMostInTables && std::min(a_bits, b_bits) > 1;
}

double multipliers(int64_t a_bits, int64_t b_bits) {
  const auto blocks = [](int64_t bits, int64_t most) { return (bits + most - 1) / most; };
  const auto [narrow, wide] = std::minmax(a_bits, b_bits);
  return static_cast<double>(blocks(wide, 24) * blocks(narrow, 17));
}

Cost product_cost(int64_t a_bits, int64_t b_bits, Family family) {
  Cost cost;
  if (in_multiplier(a_bits, b_bits, a_bits + b_bits, family)) {
    cost.dsp = multipliers(a_bits, b_bits);
  } else {
    // Up to six bits are a table for each bit of the product, more are rows and additions.
    cost.lut =
        static_cast<double>(a_bits + b_bits <= 6 ? a_bits + b_bits + 1 : 3 * a_bits * b_bits / 2);
  }
  return cost;
}

Cost queue_cost(const Rhythm& rhythm, int64_t width) {
  Cost cost;
  if (rhythm.queue == 1) {
    cost.lut = 3, cost.ff = static_cast<double>(width) + 2;
    return cost;
  }
  // Two pointers and the credits, each a counter of about a LUT a bit; those that don't wrap by
  // themselves compare with their last slot besides.
  const int bits = std::bit_width(static_cast<uint64_t>(rhythm.queue - 1));
  // A queue whose beats come the next cycle is LUT memory at any capacity.
  const bool deep = rhythm.queue > kLutQueueDepth && rhythm.depth > 1;
  const bool wraps_alone = (rhythm.queue & (rhythm.queue - 1)) == 0;
  // Few bits are registers instead of tables.
  constexpr int64_t kFewBits = 8;
  if (const int64_t kept = width << bits; kept < kFewBits) {
    cost.lut = static_cast<double>(bits > 1 ? width + 4 : width);
    cost.ff = static_cast<double>(kept);
  } else {
    cost = deep ? memory_cost(width, rhythm.queue) : lut_memory_cost(width, int64_t{1} << bits);
  }
  cost.lut += deep ? (wraps_alone ? 3 : 5) * bits : bits == 1 ? 6 : std::max(10, 3 * bits);
  cost.ff += 2 + 3 * bits;
  // The word that a deep one reads is a register, which is part of a block memory.
  if (deep) cost.ff += 1 + (cost.bram18 > 0 ? 0 : static_cast<double>(width));
  return cost;
}

void add_top(const SvModule& module, Hardware& hardware) {
  hardware.top = module.name();
  hardware.modules.push_back({module.name() + ".sv", module.text()});
  // An instance stands at the beginning of its line, and the library has a prefix of its own.
  std::set<std::string> cells;
  for (const TextFile& file : hardware.modules) {
    for (size_t begin = 0; begin < file.text.size();) {
      const size_t end = std::min(file.text.find('\n', begin), file.text.size());
      const size_t word = std::min(file.text.find_first_not_of(' ', begin), end);
      if (file.text.compare(word, 4, "fst_") == 0) {
        cells.insert(file.text.substr(word, std::min(file.text.find(' ', word), end) - word));
      }
      begin = end + 1;
    }
  }
  for (const TextFile& file : hardware.modules) {
    cells.erase(file.name.substr(0, file.name.rfind('.')));
  }
  hardware.cells.assign(cells.begin(), cells.end());
}

}  // namespace foldstream
