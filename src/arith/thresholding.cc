// SPDX-License-Identifier: Apache-2.0
#include "src/arith/thresholding.h"

#include <map>
#include <mutex>
#include <numeric>
#include <tuple>

namespace foldstream::arith {
namespace {

// One or two bits of result are found in one cycle with what stands before; more get registers.
int levels_per_register(int64_t levels) { return levels <= 3 ? 0 : 2; }

}  // namespace

Family family_of(foldstream::Family family) {
  return family == foldstream::Family::xilinx ? Family::kXilinx : Family::kGeneric;
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

int thresholding_latency(int64_t levels, int64_t folds, foldstream::Family family) {
  // Depends on nothing else, and is asked for often.
  static std::mutex mutex;
  static std::map<std::tuple<int64_t, int64_t, foldstream::Family>, int> known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace({levels, folds, family}, 0);
  if (is_new) {
    CompareSpec spec;
    spec.folds = static_cast<int>(folds);
    spec.family = family_of(family);
    spec.levels_per_register = levels_per_register(levels);
    std::vector<int64_t> row(levels);
    std::iota(row.begin(), row.end(), 0);
    spec.thresholds.assign(folds, row);
    spec.value_bits = 17;
    entry->second = compare(spec).latency;
  }
  return entry->second;
}

}  // namespace foldstream::arith
