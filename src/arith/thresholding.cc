// SPDX-License-Identifier: Apache-2.0
#include "src/arith/thresholding.h"

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

namespace {

// A lane of evenly spaced thresholds, built once: latency and cost are asked for often.
Generated typical(int64_t levels, int64_t folds, int64_t value_bits, foldstream::Family family) {
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, int64_t, foldstream::Family>, Generated> known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace({levels, folds, value_bits, family});
  if (is_new) {
    CompareSpec spec;
    spec.folds = static_cast<int>(folds);
    spec.family = family_of(family);
    spec.levels_per_register = levels_per_register(levels);
    spec.value_bits = static_cast<int>(value_bits);
    spec.value_signed = false;
    for (int64_t fold = 0; fold < folds; ++fold) {
      auto& row = spec.thresholds.emplace_back();
      for (int64_t i = 1; i <= levels; ++i) {
        row.push_back(((i << value_bits) + fold) / (levels + 1));
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
  return typical(levels, folds, 12, family).latency;
}

Cost thresholding_cost(int64_t levels, int64_t folds, int64_t value_bits,
                       foldstream::Family family) {
  return typical(levels, folds, value_bits, family).cost;
}

}  // namespace foldstream::arith
