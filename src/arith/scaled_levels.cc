// SPDX-License-Identifier: Apache-2.0
#include "src/arith/scaled_levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/arith/requantization.h"
#include "src/arith/thresholding.h"
#include "src/ir/memory.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

// Multipliers of as many bits as the narrow side of a DSP block's multiplier takes are for any
// value, as many as the wide side takes for values that the narrow one does.
constexpr int kNarrowBits = 18, kWideBits = 24;

struct Scaling {
  explicit Scaling(const Node& node)
      : multiplier(*node.tensor("multiplier")),
        addend(*node.tensor("addend")),
        shift(static_cast<int>(node.integer("shift"))),
        levels(node.tensor("t")->type.shape.at(1)) {}

  int64_t multiplier_of(int64_t channel) const {
    return multiplier.ints[multiplier.count() == 1 ? 0 : channel];
  }
  int64_t addend_of(int64_t channel) const {
    return addend.ints[addend.count() == 1 ? 0 : channel];
  }
  int64_t level(int64_t channel, int64_t x) const {
    return std::clamp((x * multiplier_of(channel) + addend_of(channel)) >> shift, int64_t{0},
                      levels);
  }

  const Tensor &multiplier, &addend;
  int shift;
  int64_t levels;
};

int signed_width(int64_t lo, int64_t hi) {
  return type_for_range(std::min<int64_t>(lo, -1), hi, {}).bits;
}

// One row of thresholds is for the values of all ranges.
std::vector<Range> of_rows(std::span<const Range> ranges, int64_t rows) {
  if (rows > 1 || ranges.size() == 1) return {ranges.begin(), ranges.end()};
  Range all = ranges[0];
  for (const Range& range : ranges) {
    all = {std::min(all.lo, range.lo), std::max(all.hi, range.hi)};
  }
  return {all};
}

}  // namespace

bool add_scaling(Node& node, const Thresholds& thresholds, std::span<const Range> ranges) {
  std::vector<int64_t> lo, hi;
  int value_bits = 0;
  for (const Range& range : of_rows(ranges, thresholds.rows())) {
    if (range.lo < INT32_MIN || range.hi > INT32_MAX) return false;
    lo.push_back(range.lo), hi.push_back(range.hi);
    value_bits = std::max(value_bits, signed_width(range.lo, range.hi));
  }
  auto found = find_requantization(thresholds, lo, hi, kNarrowBits);
  if (!found && value_bits < kNarrowBits) {
    found = find_requantization(thresholds, lo, hi, kWideBits);
  }
  if (!found) return false;
  const auto rows = static_cast<int64_t>(found->multiplier.size());
  node.data["multiplier"] = make_ints(foldstream::Shape{rows}, found->multiplier);
  node.data["addend"] = make_ints(foldstream::Shape{rows}, found->addend);
  node.attr["shift"] = int64_t{found->shift};
  return true;
}

void check_scaling(const Node& node, const Thresholds& thresholds, std::span<const Range> ranges) {
  const Tensor *multiplier = node.tensor("multiplier"), *addend = node.tensor("addend");
  const foldstream::Shape shape{thresholds.rows()};
  constexpr int kAddendBits = 48;
  constexpr int64_t kMostShift = 31;
  const int64_t shift = node.integer("shift", -1);
  for (const Tensor* constants : {multiplier, addend}) {
    if (constants == nullptr || constants->type.is_float || constants->type.shape != shape ||
        constants->type.bits > (constants == multiplier ? kWideBits : kAddendBits)) {
      throw Error(
          "thresholds as a multiplication need integers 'multiplier' and 'addend' of as "
          "many rows, of at most 24 and 48 bits");
    }
  }
  if (shift < 0 || shift > kMostShift) {
    throw Error(fmt::format("shift = {}", shift), "legal values are 0 to 31");
  }
  const Scaling scaling(node);
  const std::vector<Range> values = of_rows(ranges, thresholds.rows());
  for (int64_t row = 0; row < thresholds.rows(); ++row) {
    const auto [lo, hi] = values.size() == 1 ? values[0] : values[row];
    // Both rise, or both fall: equal wherever the thresholds step and at the ends.
    const auto check = [&](int64_t x) {
      if (x < lo || x > hi) return;
      if (thresholds.apply(row, x) == scaling.level(row, x)) return;
      throw Error(fmt::format("row {}: 'multiplier', 'addend' and 'shift' give level {} of {}, the "
                              "thresholds {}",
                              row, scaling.level(row, x), x, thresholds.apply(row, x)),
                  "leave them out");
    };
    check(lo), check(hi);
    for (int64_t i = 0; i < thresholds.levels(); ++i) {
      check(thresholds.row(row)[i]), check(thresholds.row(row)[i] - 1);
    }
    if ((scaling.multiplier_of(row) < 0) != thresholds.flipped(row) &&
        scaling.multiplier_of(row) != 0) {
      throw Error(fmt::format("row {}: 'multiplier' has the wrong sign", row), "leave it out");
    }
  }
}

bool has_scaling(const Node& node) {
  return node.tensor("multiplier") != nullptr || node.tensor("addend") != nullptr;
}

bool may_scale(const Node& node) {
  return has_scaling(node) && memory_place(node) != MemoryPlace::writable;
}

bool is_scaled(const Node& node) {
  const int64_t scaled = node.integer("scaled", 0);
  const bool can = may_scale(node);
  if (scaled != 0 && (scaled != 1 || !can)) {
    throw Error(fmt::format("{}: scaled = {}", describe(node), scaled),
                can ? "legal values are 0, 1" : "legal values are 0");
  }
  return scaled == 1;
}

namespace {

bool has_one_row(const Node& node) { return node.tensor("multiplier")->count() == 1; }

// Product and sum in the registers of a DSP block; constants of several channels in one before.
int scaled_levels_latency(const Node& node, int64_t folds) {
  return folds > 1 && !has_one_row(node) ? 3 : 2;
}

// As levels() of a node that is scaled.
Generated scaled_levels(const Node& node, const LevelsSpec& spec) {
  const Scaling scaling(node);
  const int lanes = spec.lanes, folds = spec.folds, value_bits = spec.value.bits;
  SvModule module(spec.name,
                  fmt::format("The thresholds of {} lanes, {} channels, {} levels each, as a "
                              "multiplication.",
                              lanes, lanes * folds, scaling.levels),
                  "");
  // The addends meet values without their offset.
  std::vector<int64_t> multipliers, addends;
  int64_t least = 0, most = 0, least_addend = 0, most_addend = 0;
  for (int64_t channel = 0; channel < int64_t{lanes} * folds; ++channel) {
    const int64_t m = scaling.multiplier_of(channel);
    const int64_t a =
        scaling.addend_of(channel) + (spec.offset.empty() ? 0 : m * spec.offset[channel]);
    multipliers.push_back(m), addends.push_back(a);
    const auto [low, high] = std::minmax({m * spec.value.min(), m * spec.value.max()});
    least = std::min({least, low, low + a}), most = std::max({most, high, high + a});
    least_addend = std::min(least_addend, a), most_addend = std::max(most_addend, a);
  }
  const int sum_bits = std::max(signed_width(least, most), scaling.shift + 1);
  const int m_bits = signed_width(scaling.multiplier.type.min(), scaling.multiplier.type.max());
  const int a_bits = signed_width(least_addend, most_addend);
  const auto wide = [](std::vector<bool>& word, int64_t value, int bits) {
    for (int b = 0; b < bits; ++b) word.push_back((value >> b & 1) != 0);
  };
  std::vector<RomWord> words;
  for (int fold = 0; fold < folds; ++fold) {
    RomWord& word = words.emplace_back();
    for (int lane = 0; lane < lanes; ++lane) wide(word, multipliers[fold * lanes + lane], m_bits);
    for (int lane = 0; lane < lanes; ++lane) wide(word, addends[fold * lanes + lane], a_bits);
  }
  const int fold_bits = std::bit_width(static_cast<unsigned>(folds - 1));
  const int latency = scaled_levels_latency(node, folds);
  const int width = lanes * (m_bits + a_bits);
  module.comment("Constants of the channels");
  module.wire("constants", width);
  std::string value = "value_i";
  if (latency == 3) {
    add_rom(module, spec.name + "_constants", words, "fold_i", "constants", nullptr);
    module.wire("value_q", lanes * value_bits);
    module.register_data("value_q", "value_i");
    value = "value_q";
  } else {
    module.assign("constants", SvModule::constant(words[0]));
  }
  module.comment("Products and sums");
  const int out_bits = std::bit_width(static_cast<uint64_t>(scaling.levels));
  module.wire("addends_q", lanes * a_bits);
  module.register_data("addends_q",
                       SvModule::slice("constants", width, lanes * m_bits, lanes * a_bits));
  std::vector<std::string> results;
  for (int lane = 0; lane < lanes; ++lane) {
    const auto name = [&](const char* stem) { return fmt::format("{}_{}", stem, lane); };
    const std::string x = SvModule::slice(value, lanes * value_bits, lane * value_bits, value_bits);
    module.wire(name("product_q"), sum_bits);
    module.wire(name("sum_q"), sum_bits);
    module.register_data(name("product_q"),
                         fmt::format("{}'($signed({}) * $signed({}))", sum_bits,
                                     spec.value.is_signed ? x : fmt::format("{{1'b0, {}}}", x),
                                     SvModule::slice("constants", width, lane * m_bits, m_bits)));
    module.register_data(
        name("sum_q"),
        fmt::format("{} + {}'($signed({}))", name("product_q"), sum_bits,
                    SvModule::slice("addends_q", lanes * a_bits, lane * a_bits, a_bits)));
    // Below the lowest level the sign says so, above the highest the bits beyond the level's.
    const int level_bits = sum_bits - scaling.shift;
    const std::string level = name("level");
    module.wire(level, level_bits);
    module.assign(level, SvModule::slice(name("sum_q"), sum_bits, scaling.shift, level_bits));
    std::string result = level_bits >= out_bits ? SvModule::slice(level, level_bits, 0, out_bits)
                                                : fmt::format("{}'({})", out_bits, level);
    if (level_bits - 1 >= out_bits) {
      const bool full = (scaling.levels & (scaling.levels + 1)) == 0;
      const std::string top = SvModule::number(out_bits, scaling.levels);
      const std::string above =
          full ? "|" + SvModule::slice(level, level_bits, out_bits, level_bits - 1 - out_bits)
               : fmt::format("{} > {}", SvModule::slice(level, level_bits, 0, level_bits - 1),
                             SvModule::number(level_bits - 1, scaling.levels));
      if (!full || level_bits - 1 > out_bits) {
        result = fmt::format("{} ? {} : {}", above, top, result);
      }
    }
    results.push_back(fmt::format("{} ? {} : {}", SvModule::bit(level, level_bits, level_bits - 1),
                                  SvModule::number(out_bits, 0), result));
  }
  for (int lane = 0; lane < lanes; ++lane) {
    module.assign(SvModule::slice("result_o", lanes * out_bits, lane * out_bits, out_bits),
                  results[lane]);
  }
  module.input("clk_i");
  module.input("value_i", lanes * value_bits);
  if (fold_bits > 0) module.input("fold_i", fold_bits);
  module.output("result_o", lanes * out_bits);
  if (fold_bits > 0 && latency == 2) {
    module.comment("inputs that one row for all doesn't need");
    module.wire("unused_inputs");
    module.assign("unused_inputs", "^fold_i");
  }
  module.set_timing(fmt::format("Latency {}, interval 1.", latency));
  Generated generated = alone(module);
  generated.latency = latency;
  return generated;
}

foldstream::Cost scaled_levels_cost(const Node& node, int64_t lanes, int64_t folds,
                                    int64_t value_bits, foldstream::Family family) {
  const Scaling scaling(node);
  const auto count = static_cast<double>(lanes);
  const int64_t m_bits = scaling.multiplier.type.bits;
  const int64_t a_bits = std::max<int64_t>(scaling.addend.type.bits, value_bits + m_bits);
  foldstream::Cost cost;
  const foldstream::Cost product = product_cost(value_bits + 1, m_bits, family);
  cost.lut += count * product.lut, cost.dsp += count * product.dsp;
  if (folds > 1 && !has_one_row(node)) {
    const RomPlan plan = plan_rom(lanes * (m_bits + a_bits), folds);
    cost += plan.cost;
    // The addends wait for the products. The value meanwhile rests in the DSP block, as does a
    // lane's multiplier when tables have it.
    cost.ff += count * static_cast<double>(a_bits);
    if (plan.block_bits == 0 && product.dsp > 0) cost.ff -= static_cast<double>(m_bits);
  }
  const auto level_bits =
      static_cast<double>(std::max<int64_t>(1, value_bits + m_bits + 1 - scaling.shift));
  cost.lut += count * (level_bits / 5 + std::bit_width(static_cast<uint64_t>(scaling.levels)));
  return cost;
}

}  // namespace

Generated levels(const Node& node, const Thresholds& thresholds, const LevelsSpec& spec,
                 foldstream::Family family) {
  if (is_scaled(node)) return scaled_levels(node, spec);
  CompareSpec comparators =
      thresholding_spec(thresholds, spec.lanes, spec.folds, spec.value, spec.offset, family);
  comparators.name = spec.name;
  return compare(comparators);
}

int levels_latency(const Node& node, int64_t folds, foldstream::Family family) {
  return is_scaled(node) ? scaled_levels_latency(node, folds)
                         : thresholding_latency(node.tensor("t")->type.shape.at(1), folds, family);
}

foldstream::Cost levels_cost(const Node& node, int64_t lanes, int64_t folds, int64_t value_bits,
                             foldstream::Family family) {
  if (is_scaled(node)) return scaled_levels_cost(node, lanes, folds, value_bits, family);
  const int64_t levels = node.tensor("t")->type.shape.at(1);
  return resources(thresholding_cost(lanes, levels, folds, value_bits, family));
}

}  // namespace foldstream::arith
