// SPDX-License-Identifier: Apache-2.0
#include "src/arith/threshold_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

// Tables have five inputs in pairs; six at most; what needs more inputs becomes a memory.
constexpr int kPairInputs = 5;
constexpr int kTableInputs = 6;

int bits_for(std::int64_t maximum) { return std::bit_width(static_cast<std::uint64_t>(maximum)); }

class Search {
 public:
  Search(Circuit& circuit, const ThresholdSearch& search)
      : search_(search),
        count_(static_cast<int>(search.thresholds.at(0).size())),
        levels_(bits_for(count_)),
        folds_(static_cast<int>(search.thresholds.size())),
        fold_bits_(bits_for(folds_ - 1)),
        circuit_(circuit),
        module_(circuit.module()) {
    FOLDSTREAM_CHECK(count_ >= 1 && search.value_bits >= 1 && search.value_bits <= 60);
    FOLDSTREAM_CHECK(search.inverted.size() == search.thresholds.size());
    for (const auto& thresholds : search.thresholds) {
      FOLDSTREAM_CHECK(static_cast<int>(thresholds.size()) == count_);
      FOLDSTREAM_CHECK(std::is_sorted(thresholds.begin(), thresholds.end()));
    }
  }

  std::vector<Net> run() {
    std::vector<Net> found;  // most significant first
    int stage = search_.value_stage;
    for (int level = 0; level < levels_; ++level) {
      const int address_bits = fold_bits_ + level;
      Net verdict;
      if (circuit_.family() == Family::kXilinx && address_bits < kPairInputs) {
        verdict = embedded(level, found, stage);
      } else {
        const bool memory = address_bits > kTableInputs;
        verdict = looked_up(level, found, stage, memory);
        if (memory) ++stage;
      }
      found.push_back(verdict);
      const int n = search_.levels_per_register;
      if (n > 0 && ((level + 1) % n == 0 || level + 1 == levels_)) ++stage;
    }
    std::vector<Net> result;
    for (auto bit = found.rbegin(); bit != found.rend(); ++bit)
      result.push_back(circuit_.delayed(*bit, stage));
    return result;
  }

 private:
  // A threshold as a distance from the smallest value: 0 or less is always reached, 2**value_bits
  // or more never.
  struct Threshold {
    std::int64_t distance;
    bool inverted;
  };

  // The one that level `level` compares with, where the bits found so far are `found`.
  Threshold threshold(int fold, int level, int found) const {
    const bool inverted = search_.inverted[fold];
    const std::int64_t never = std::int64_t{1} << search_.value_bits;
    // The bits found are those of the result, so an inverted channel's are complements.
    const int reached = inverted ? found ^ ((1 << level) - 1) : found;
    const int padding = (1 << levels_) - 1 - count_;
    int index = (reached << (levels_ - level)) + (1 << (levels_ - level - 1)) - 1;
    // Thresholds that fill up to a power of two go where the result does not show them.
    if (inverted) {
      if (index < padding) return {0, true};
      index -= padding;
    } else if (index >= count_) {
      return {never, false};
    }
    const std::int64_t minimum =
        search_.value_signed ? -(std::int64_t{1} << (search_.value_bits - 1)) : 0;
    const std::int64_t value = search_.thresholds[fold][index];
    if (value <= minimum) return {0, inverted};
    if (value - minimum > never) return {never, inverted};
    return {value - minimum, inverted};
  }

  // The bits that choose a threshold, most significant first: the result's bits so far, then the
  // fold.
  std::vector<std::string> address(const std::vector<Net>& found, int stage) {
    std::vector<std::string> bits;
    for (auto bit = found.rbegin(); bit != found.rend(); ++bit)
      bits.push_back(circuit_.delayed(*bit, stage).name);
    if (fold_bits_ > 0) bits.push_back(search_.fold(stage));
    return bits;
  }

  // The threshold for a value of those bits; fold codes beyond the last one never come.
  Threshold at(int level, std::uint64_t code) const {
    const int fold = static_cast<int>(code & ((std::uint64_t{1} << fold_bits_) - 1));
    if (fold >= folds_) return {0, false};
    int found = 0;
    for (int i = 0; i < level; ++i)
      found = found << 1 | static_cast<int>(code >> (fold_bits_ + i) & 1);
    return threshold(fold, level, found);
  }

  std::string verdict_stem(int level) const {
    return fmt::format("{}_b{}", search_.stem, levels_ - 1 - level);
  }

  // Thresholds inside the comparator's tables: what the address leaves of five inputs looks at the
  // value.
  Net embedded(int level, const std::vector<Net>& found, int stage) {
    const int address_bits = fold_bits_ + level;
    const int digit = kPairInputs - address_bits;
    const int stages = (search_.value_bits + digit - 1) / digit;
    std::vector<bool> pass(32 * stages), verdict(32 * stages);
    std::vector<std::string> inputs;  // most significant first
    const std::vector<std::string> select = address(found, stage);
    for (int s = stages - 1; s >= 0; --s) {
      const int low = s * digit;
      const int width = std::min(digit, search_.value_bits - low);
      const bool top = s == stages - 1;
      for (int a = 0; a < 32; ++a) {
        std::int64_t data = a & ((1 << width) - 1);
        if (top && search_.value_signed) data ^= std::int64_t{1} << (width - 1);
        const Threshold t = at(level, static_cast<std::uint64_t>(a) >> digit);
        const std::int64_t never = std::int64_t{1} << search_.value_bits;
        bool equal = false;
        bool above = false;
        if (t.distance <= 0 || t.distance >= never) {
          above = (t.distance <= 0) != t.inverted;
        } else {
          // Not reached: value <= distance - 1. Both forms hold where all digits are equal.
          const std::int64_t bound = t.inverted ? t.distance - 1 : t.distance;
          const std::int64_t wanted = bound >> low & ((1 << width) - 1);
          equal = data == wanted;
          above = t.inverted ? data < wanted : data > wanted;
        }
        pass[32 * s + a] = equal;
        verdict[32 * s + a] = above;
      }
      const int unused = kPairInputs - address_bits - digit;
      if (unused > 0) inputs.push_back(fmt::format("{}'d0", unused));
      inputs.insert(inputs.end(), select.begin(), select.end());
      if (width < digit) inputs.push_back(fmt::format("{}'d0", digit - width));
      inputs.push_back(search_.value(low, width, stage));
    }
    const Net net = circuit_.wire(verdict_stem(level), stage);
    module_.instance("fst_compare_chain", module_.fresh("compare_" + net.name),
                     {{"Stages", std::to_string(stages)},
                      {"Pass", SvModule::constant(pass)},
                      {"Verdict", SvModule::constant(verdict)}},
                     {{"address_i", SvModule::concat(inputs)}, {"verdict_o", net.name}});
    circuit_.cost().luts += stages;
    circuit_.cost().carries += (stages + 3) / 4;
    return net;
  }

  // Thresholds from a table, or from a memory that takes one stage more, and a comparator of two
  // words.
  Net looked_up(int level, const std::vector<Net>& found, int stage, bool memory) {
    const int address_bits = fold_bits_ + level;
    const std::int64_t never = std::int64_t{1} << search_.value_bits;
    const std::uint64_t codes = std::uint64_t{1} << address_bits;
    std::vector<std::int64_t> words;
    bool any_never = false;
    for (std::uint64_t code = 0; code < codes; ++code) {
      words.push_back(at(level, code).distance);
      any_never = any_never || words.back() >= never;
    }
    const auto all = [&](auto&& holds) { return std::all_of(words.begin(), words.end(), holds); };
    const bool always = all([](std::int64_t word) { return word <= 0; });
    if (!memory && (always || all([&](std::int64_t word) { return word >= never; }))) {
      return finished(level, {always ? "1'b1" : "1'b0", stage}, stage);
    }
    const int width = search_.value_bits + (any_never ? 1 : 0);
    const std::string stem = fmt::format("{}_threshold_b{}", search_.stem, levels_ - 1 - level);
    const std::string word = module_.fresh(stem + (memory ? "_q" : ""));
    module_.wire(word, width);
    const std::vector<std::string> select = address(found, stage);
    if (memory) {
      std::vector<RomWord> content;
      for (const std::int64_t w : words) {
        RomWord& bits = content.emplace_back();
        for (int i = 0; i < width; ++i) bits.push_back((w >> i & 1) != 0);
      }
      const std::string code = module_.fresh(stem + "_code");
      module_.wire(code, address_bits);
      module_.assign(code, SvModule::concat(select));
      add_rom(module_, stem, content, code, word, nullptr);
      const foldstream::Cost memory = plan_rom(width, static_cast<int64_t>(codes)).cost;
      circuit_.cost().luts += memory.lut;
      circuit_.cost().flip_flops += memory.ff;
      circuit_.cost().block_memories += memory.bram18;
      ++stage;
    } else if (address_bits == 0) {
      module_.assign(word, fmt::format("{}'d{}", width, words[0]));
    } else {
      table(level, word, width, words, select);
    }

    // The value as a distance from the smallest one.
    std::string distance;
    const int low_bits = search_.value_bits - 1;
    if (search_.value_signed) {
      std::vector<std::string> parts = {"!" + search_.value(low_bits, 1, stage)};
      if (low_bits > 0) parts.push_back(search_.value(0, low_bits, stage));
      distance = SvModule::concat(parts);
    } else {
      distance = search_.value(0, search_.value_bits, stage);
    }
    if (any_never) distance = fmt::format("{}'({})", width, distance);
    Net reached = circuit_.wire(verdict_stem(level) + "_raw", stage);
    if (circuit_.family() == Family::kXilinx) {
      const int stages = (width + 1) / 2;
      std::vector<bool> pass(32 * stages), verdict(32 * stages);
      for (int s = 0; s < stages; ++s) {
        for (int a = 0; a < 32; ++a) {
          pass[32 * s + a] = (a & 3) == (a >> 2 & 3);
          verdict[32 * s + a] = (a & 3) > (a >> 2 & 3);
        }
      }
      const std::string data =
          module_.fresh(fmt::format("{}_distance_b{}", search_.stem, levels_ - 1 - level));
      module_.wire(data, 2 * stages);
      module_.assign(data,
                     2 * stages > width ? fmt::format("{}'({})", 2 * stages, distance) : distance);
      std::vector<std::string> inputs;
      for (int s = stages - 1; s >= 0; --s) {
        inputs.push_back("1'b0");
        if (2 * s + 1 < width) {
          inputs.push_back(SvModule::slice(word, width, 2 * s, 2));
        } else {
          inputs.push_back("1'b0");
          inputs.push_back(SvModule::bit(word, width, 2 * s));
        }
        inputs.push_back(fmt::format("{}[{}:{}]", data, 2 * s + 1, 2 * s));
      }
      module_.instance("fst_compare_chain", module_.fresh("compare_" + reached.name),
                       {{"Stages", std::to_string(stages)},
                        {"Pass", SvModule::constant(pass)},
                        {"Verdict", SvModule::constant(verdict)}},
                       {{"address_i", SvModule::concat(inputs)}, {"verdict_o", reached.name}});
      circuit_.cost().luts += stages;
      circuit_.cost().carries += (stages + 3) / 4;
    } else {
      module_.assign(reached.name, fmt::format("{} >= {}", distance, word));
      circuit_.cost().luts += width;
    }
    return finished(level, reached, stage);
  }

  // The bit of the result: the verdict, or its complement for inverted folds.
  Net finished(int level, const Net& reached, int stage) {
    std::vector<bool> inverted = search_.inverted;
    const bool any = std::find(inverted.begin(), inverted.end(), true) != inverted.end();
    const bool every = std::find(inverted.begin(), inverted.end(), false) == inverted.end();
    if (!any) return reached;
    const Net net = circuit_.wire(verdict_stem(level), stage);
    if (every) {
      module_.assign(net.name, "!" + reached.name);
    } else {
      inverted.resize(std::size_t{1} << fold_bits_);
      const std::string flags = constant_name("Inverted", level);
      module_.raw(fmt::format("localparam bit [{}:0] {} = {};", inverted.size() - 1, flags,
                              SvModule::constant(inverted)));
      module_.assign(net.name,
                     fmt::format("{} ^ {}[{}]", reached.name, flags, search_.fold(stage)));
    }
    circuit_.cost().luts += 1;
    return net;
  }

  void table(int level, const std::string& word, int width, const std::vector<std::int64_t>& words,
             const std::vector<std::string>& select) {
    const int address_bits = fold_bits_ + level;
    const auto column = [&](int bit, std::size_t size) {
      std::vector<bool> entries(size);
      for (std::size_t i = 0; i < size; ++i) entries[i] = (words[i % words.size()] >> bit & 1) != 0;
      return SvModule::constant(entries);
    };
    if (circuit_.family() == Family::kGeneric || address_bits < kPairInputs) {
      const std::string all = constant_name("Thresholds", level);
      std::vector<bool> entries;
      for (const std::int64_t w : words) {
        for (int i = 0; i < width; ++i) entries.push_back((w >> i & 1) != 0);
      }
      module_.raw(fmt::format("localparam bit [{}:0] {} = {};", entries.size() - 1, all,
                              SvModule::constant(entries)));
      module_.assign(word,
                     fmt::format("{}[{}*{}+:{}]", all, width, SvModule::concat(select), width));
      circuit_.cost().luts += width * std::max(1.0, static_cast<double>(words.size()) / 16);
    } else if (address_bits == kPairInputs) {
      for (int i = 0; i < width; i += 2) {
        const bool pair = i + 1 < width;
        std::string target = SvModule::slice(word, width, i, pair ? 2 : 1);
        if (!pair) {
          const std::string unused = module_.fresh("unused_" + word);
          module_.wire(unused);
          target = SvModule::concat({unused, target});
        }
        module_.instance(
            "fst_table_pair", module_.fresh("look_up_" + word),
            {{"Table0", column(i, 32)}, {"Table1", pair ? column(i + 1, 32) : "32'd0"}},
            {{"address_i", SvModule::concat(select)}, {"data_o", target}});
        circuit_.cost().luts += 1;
      }
    } else {
      for (int i = 0; i < width; ++i) {
        module_.instance(
            "fst_table", module_.fresh("look_up_" + word), {{"Table", column(i, 64)}},
            {{"address_i", SvModule::concat(select)}, {"data_o", SvModule::bit(word, width, i)}});
        circuit_.cost().luts += 1;
      }
    }
  }

  // Constants of this search are named Kind0, Kind1, ... in the order they come.
  std::string constant_name(const std::string& kind, int level) {
    for (int number = level;; ++number) {
      const std::string name = fmt::format("{}{}", kind, number);
      if (!module_.taken(name)) return module_.fresh(name);
    }
  }

  const ThresholdSearch& search_;
  int count_, levels_, folds_, fold_bits_;
  Circuit& circuit_;
  SvModule& module_;
};

}  // namespace

int memory_levels(int levels, int fold_bits) {
  return std::clamp(fold_bits + levels - 1 - kTableInputs, 0, levels);
}

std::vector<Net> search_thresholds(Circuit& circuit, const ThresholdSearch& search) {
  return Search(circuit, search).run();
}

}  // namespace foldstream::arith
