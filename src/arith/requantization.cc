// SPDX-License-Identifier: Apache-2.0
#include "src/arith/requantization.h"

#include <algorithm>

#include "src/util/error.h"

namespace foldstream::arith {
namespace {

constexpr int kMostShift = 31;

// One row on a range as a rising step function: level k + 1 is reached from q = step[k] on.
struct Steps {
  int64_t lo, hi;
  std::vector<int64_t> step;
};

// A flipped row falls; it rises in -q.
Steps steps_of(const Thresholds& thresholds, int64_t row, int64_t lo, int64_t hi) {
  const int64_t* t = thresholds.row(row);
  Steps steps{lo, hi, {t, t + thresholds.levels()}};
  if (thresholds.flipped(row)) {
    steps.lo = -hi, steps.hi = -lo;
    std::reverse(steps.step.begin(), steps.step.end());
    for (int64_t& step : steps.step) step = 1 - step;
  }
  for (int64_t& step : steps.step) step = std::clamp(step, steps.lo, steps.hi + 1);
  return steps;
}

// The addends with which a multiplier reaches every level where it must and not before; none when
// least > most. Their number is a concave function of the multiplier.
struct Addends {
  int64_t least = INT64_MIN, most = INT64_MAX;
  bool exist() const { return least <= most; }
  int64_t slack() const { return most - least; }
};

Addends addends_for(const Steps& steps, int64_t multiplier, int shift) {
  // Far beyond every sum, and far from an overflow of the slack.
  constexpr int64_t kFar = int64_t{1} << 61;
  Addends addends{-kFar, kFar};
  for (size_t k = 0; k < steps.step.size(); ++k) {
    const int64_t level = static_cast<int64_t>(k + 1) << shift, step = steps.step[k];
    if (step <= steps.hi) addends.least = std::max(addends.least, level - step * multiplier);
    if (step > steps.lo) addends.most = std::min(addends.most, level - 1 - (step - 1) * multiplier);
  }
  return addends;
}

struct Line {
  int64_t multiplier, addend;
};

std::optional<Line> line_through(const Steps& steps, int shift, int64_t most_multiplier) {
  int64_t low = 0, high = most_multiplier;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (addends_for(steps, middle, shift).slack() < addends_for(steps, middle + 1, shift).slack()) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const Addends addends = addends_for(steps, low, shift);
  if (!addends.exist()) return std::nullopt;
  return Line{low, std::clamp<int64_t>(0, addends.least, addends.most)};
}

}  // namespace

std::optional<Requantization> find_requantization(const Thresholds& thresholds,
                                                  std::span<const int64_t> lo,
                                                  std::span<const int64_t> hi,
                                                  int multiplier_bits) {
  FOLDSTREAM_CHECK(multiplier_bits >= 2 && multiplier_bits <= 24);
  FOLDSTREAM_CHECK(!lo.empty() && lo.size() == hi.size());
  const int64_t most_multiplier = (int64_t{1} << (multiplier_bits - 1)) - 1;
  std::vector<Steps> rows;
  for (int64_t row = 0; row < thresholds.rows(); ++row) {
    const auto range = static_cast<size_t>(lo.size() == 1 ? 0 : row);
    FOLDSTREAM_CHECK(lo[range] <= hi[range] && lo[range] >= INT32_MIN && hi[range] <= INT32_MAX);
    rows.push_back(steps_of(thresholds, row, lo[range], hi[range]));
  }
  const auto with_shift = [&](int shift) -> std::optional<Requantization> {
    Requantization result{{}, {}, shift};
    for (size_t row = 0; row < rows.size(); ++row) {
      const std::optional<Line> line = line_through(rows[row], shift, most_multiplier);
      if (!line) return std::nullopt;
      const bool falls = thresholds.flipped(static_cast<int64_t>(row));
      result.multiplier.push_back(falls ? -line->multiplier : line->multiplier);
      result.addend.push_back(line->addend);
    }
    return result;
  };
  for (int shift = 0; shift <= kMostShift; ++shift) {
    if (auto result = with_shift(shift)) return result;
  }
  return std::nullopt;
}

}  // namespace foldstream::arith
