// SPDX-License-Identifier: Apache-2.0
#include "src/arith/thresholding.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <mutex>
#include <tuple>

namespace foldstream::arith {
namespace {

// One or two bits of result are found in one cycle with what stands before; more get registers.
int levels_per_register(int64_t levels) { return levels <= 3 ? 0 : 2; }

}  // namespace

Family family_of(foldstream::Family family) {
  return family == foldstream::Family::generic ? Family::kGeneric : Family::kXilinx;
}

foldstream::Cost resources(const Cost& counted) {
  return {.lut = counted.luts,
          .ff = counted.flip_flops,
          .bram18 = counted.block_memories,
          .dsp = counted.multipliers};
}

int multiplier_bits(foldstream::Family family) {
  return family == foldstream::Family::ultrascale ? 27 : 25;
}

CompareSpec thresholding_spec(const Thresholds& thresholds, int64_t lanes, int64_t folds,
                              const foldstream::Type& value, const std::vector<int64_t>& offset,
                              foldstream::Family family) {
  CompareSpec spec;
  spec.lanes = static_cast<int>(lanes);
  spec.folds = static_cast<int>(folds);
  spec.value_bits = value.bits;
  spec.value_signed = value.is_signed;
  spec.family = family_of(family);
  spec.levels_per_register = levels_per_register(thresholds.levels());
  for (int64_t channel = 0; channel < lanes * folds; ++channel) {
    const int64_t* row = thresholds.row(channel);
    std::vector<int64_t> values(row, row + thresholds.levels());
    if (!offset.empty()) {
      for (int64_t& t : values) t -= offset[channel];
    }
    spec.thresholds.push_back(std::move(values));
    spec.inverted.push_back(thresholds.flipped(channel));
  }
  return spec;
}

int reached_bits(const Range& sums) {
  return std::bit_width(static_cast<uint64_t>(sums.hi - sums.lo + 1));
}

MemoryShape threshold_memory(const Node& node, const Range& sums, int64_t lanes, int64_t folds) {
  const Thresholds thresholds(node, lanes * folds);
  const int64_t levels = thresholds.levels(), bits = reached_bits(sums);
  const bool each = thresholds.rows() > 1;
  const bool flips = node.tensor("flip") != nullptr;
  MemoryShape memory{"thresholds", lanes * (levels * bits + (flips ? 1 : 0)), folds};
  // One more than any sum is never reached.
  memory.fields.push_back({.tensor = "t",
                           .bits = bits,
                           .offset = -sums.lo,
                           .greatest = sums.hi - sums.lo + 1,
                           .saturates = true,
                           .loops = {{folds, each ? lanes * levels : 0, 1, 0},
                                     {lanes, each ? levels : 0, 0, levels * bits},
                                     {levels, 1, 0, bits}}});
  if (flips) {
    memory.fields.push_back(
        {.tensor = "flip",
         .bit = lanes * levels * bits,
         .loops = {{folds, each ? lanes : 0, 1, 0}, {lanes, each ? 1 : 0, 0, 1}}});
  }
  return memory;
}

int threshold_memory_latency(int64_t levels) { return levels > 3 ? 2 : 1; }

Cost threshold_memory_cost(int64_t lanes, int64_t levels, int64_t value_bits) {
  const auto thresholds = static_cast<double>(lanes * levels);
  Cost cost;
  // Fitted to Yosys: 30 LUTs for 3 thresholds of 7 bits, 116 for 4 lanes of 3 of 12, 364 for 2 of
  // 15 of 14.
  cost.luts = thresholds * (0.4 * static_cast<double>(value_bits) + (levels > 3 ? 6.5 : 5));
  cost.flip_flops = thresholds;
  if (threshold_memory_latency(levels) > 1) {
    cost.flip_flops += static_cast<double>(lanes * std::bit_width(static_cast<uint64_t>(levels)));
  }
  return cost;
}

std::string add_threshold_count(SvModule& module, const Thresholds& thresholds, bool flips,
                                const MemoryShape& memory, const Range& sums, int64_t lanes,
                                const std::string& value) {
  const int64_t bits = reached_bits(sums), levels = thresholds.levels();
  const auto count = static_cast<int>(lanes), width = static_cast<int>(memory.width);
  const int compared = static_cast<int>(lanes * levels * bits);
  module.wire("result", count * std::bit_width(static_cast<uint64_t>(levels)));
  module.instance("fst_threshold_count", "u_thresholds",
                  {{"Lanes", std::to_string(lanes)},
                   {"Levels", std::to_string(levels)},
                   {"Width", std::to_string(bits)}},
                  {{"clk_i", "clk_i"},
                   {"value_i", value},
                   {"thresholds_i", SvModule::slice(memory.name, width, 0, compared)},
                   {"flip_i", flips ? SvModule::slice(memory.name, width, compared, count)
                                    : fmt::format("{}'d0", count)},
                   {"result_o", "result"}});
  return "result";
}

namespace {

// Lanes of evenly spaced thresholds, built once: latency and cost are asked for often.
Generated typical(int64_t lanes, int64_t levels, int64_t folds, int64_t value_bits,
                  foldstream::Family family) {
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, int64_t, int64_t, foldstream::Family>, Generated>
      known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace({lanes, levels, folds, value_bits, family});
  if (is_new) {
    CompareSpec spec;
    spec.lanes = static_cast<int>(lanes);
    spec.folds = static_cast<int>(folds);
    spec.family = family_of(family);
    spec.levels_per_register = levels_per_register(levels);
    spec.value_bits = static_cast<int>(value_bits);
    spec.value_signed = false;
    for (int64_t channel = 0; channel < lanes * folds; ++channel) {
      auto& row = spec.thresholds.emplace_back();
      for (int64_t i = 1; i <= levels; ++i) {
        row.push_back(((i << value_bits) + channel % (levels + 1)) / (levels + 1));
      }
    }
    Generated generated = compare(spec);
    entry->second.latency = generated.latency;
    entry->second.cost = generated.cost;
  }
  return entry->second;
}

}  // namespace

int thresholding_latency(int64_t levels, int64_t folds, foldstream::Family family) {
  return typical(1, levels, folds, 12, family).latency;
}

Cost thresholding_cost(int64_t lanes, int64_t levels, int64_t folds, int64_t value_bits,
                       foldstream::Family family) {
  // Each lane costs what the second does; the first has the fold's registers, which serve all.
  const auto more = static_cast<double>(lanes - 1);
  Cost cost = (1 - more) * typical(1, levels, folds, value_bits, family).cost;
  if (lanes > 1) cost += more * typical(2, levels, folds, value_bits, family).cost;
  return cost;
}

}  // namespace foldstream::arith
