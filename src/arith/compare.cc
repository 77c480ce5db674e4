// SPDX-License-Identifier: Apache-2.0
#include "src/arith/compare.h"

#include <fmt/format.h>

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
  for (int lane = 0; lane < spec.lanes; ++lane) {
    ThresholdSearch search;
    search.stem = fmt::format("reached_{}", lane);
    search.value = [&circuit, &spec, width, lane](int low, int count, int stage) {
      return SvModule::slice(circuit.delayed("value_i", width, 0, stage), width,
                             lane * spec.value_bits + low, count);
    };
    search.value_bits = spec.value_bits;
    search.value_signed = spec.value_signed;
    search.fold = [&circuit, fold_bits](int stage) {
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
  if (latency > 0) module.input("clk_i");
  module.input("value_i", width);
  if (fold_bits > 0) module.input("fold_i", fold_bits);
  module.output("result_o", static_cast<int>(result.size()));
  module.set_timing(fmt::format("Latency {}, interval 1.", latency));
  Generated generated;
  generated.name = spec.name;
  generated.sources = {{spec.name, module.text()}};
  generated.ports = module.ports();
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
