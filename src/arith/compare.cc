// SPDX-License-Identifier: Apache-2.0
#include "src/arith/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/arith/threshold_search.h"
#include "src/util/error.h"

namespace foldstream::arith {

Generated compare(const CompareSpec& spec) {
  FOLDSTREAM_CHECK(static_cast<int>(spec.thresholds.size()) == spec.lanes * spec.folds);
  FOLDSTREAM_CHECK(spec.inverted.empty() || spec.inverted.size() == spec.thresholds.size());
  SvModule module(
      spec.name,
      fmt::format("Counts the thresholds reached: {} lanes, {} channels, {} thresholds each.",
                  spec.lanes, spec.lanes * spec.folds, spec.thresholds.at(0).size()),
      "");
  Circuit circuit(module, spec.family);
  const int width = spec.lanes * spec.value_bits;
  const int fold_bits = std::bit_width(static_cast<unsigned>(spec.folds - 1));
  std::vector<Net> result;
  std::vector<bool> used(width, false);
  bool fold_used = false;
  for (int lane = 0; lane < spec.lanes; ++lane) {
    ThresholdSearch search;
    search.stem = fmt::format("reached_{}", lane);
    search.value = [&, lane](int low, int count, int stage) {
      const int first = lane * spec.value_bits + low;
      std::fill_n(used.begin() + first, count, true);
      return SvModule::slice(circuit.delayed("value_i", width, 0, stage), width, first, count);
    };
    search.value_bits = spec.value_bits;
    search.value_signed = spec.value_signed;
    search.fold = [&](int stage) {
      fold_used = true;
      return circuit.delayed("fold_i", fold_bits, 0, stage);
    };
    for (int fold = 0; fold < spec.folds; ++fold) {
      const int channel = fold * spec.lanes + lane;
      search.thresholds.push_back(spec.thresholds[channel]);
      search.inverted.push_back(!spec.inverted.empty() && spec.inverted[channel]);
    }
    search.levels_per_register = spec.levels_per_register;
    module.comment(fmt::format("lane {}", lane));
    for (const Net& bit : search_thresholds(circuit, search)) result.push_back(bit);
  }
  const int latency = result.at(0).stage;
  circuit.finish();
  module.assign("result_o", Circuit::concat(result));
  std::vector<std::string> unused;
  for (int i = width; i-- > 0;) {
    if (!used[i]) unused.push_back(SvModule::bit("value_i", width, i));
  }
  if (fold_bits > 0 && !fold_used) unused.push_back("fold_i");
  if (!unused.empty()) {
    module.comment("inputs that no threshold needs");
    module.wire("unused_inputs");
    module.assign("unused_inputs", "^" + SvModule::concat(unused));
  }
  if (latency > 0) module.input("clk_i");
  module.input("value_i", width);
  if (fold_bits > 0) module.input("fold_i", fold_bits);
  module.output("result_o", static_cast<int>(result.size()));
  module.set_timing(fmt::format("Latency {}, interval 1.", latency));
  Generated generated = alone(module);
  generated.latency = latency;
  generated.cost = circuit.cost();
  return generated;
}

int compare_reference(const CompareSpec& spec, int channel, std::int64_t value) {
  int reached = 0;
  for (const std::int64_t t : spec.thresholds.at(channel)) reached += value >= t ? 1 : 0;
  const bool inverted = !spec.inverted.empty() && spec.inverted[channel];
  return inverted ? static_cast<int>(spec.thresholds[channel].size()) - reached : reached;
}

}  // namespace foldstream::arith
