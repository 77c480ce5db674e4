// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/finish.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "src/util/error.h"

namespace foldstream::kernel {
namespace {

struct Line {
  float scale = 0, offset = 0;
  int64_t off = 0;  // levels that it is beside the right one at most
};

// As the kernel computes it.
int64_t on_line(const Line& line, int64_t x, int64_t levels) {
  const float y =
      std::floor(static_cast<float>(static_cast<int32_t>(x)) * line.scale + line.offset);
  return static_cast<int64_t>(std::clamp(y, 0.0F, static_cast<float>(levels)));
}

// The line that comes nearest to thresholds t (ascending) on sums of `range`. It and the count of
// thresholds both ascend, so the count is never further from it than just before or at one of them.
Line find_line(const std::vector<int64_t>& t, Range range) {
  const auto levels = static_cast<int64_t>(t.size());
  const auto at = [&](int64_t i) { return std::clamp(t[i], range.lo, range.hi + 1); };
  // At slope m the offset should be at least `least` and below `most`.
  const auto window = [&](double m) {
    double least = -1e9, most = 1e9;
    for (int64_t i = 0; i < levels; ++i) {
      const auto x = static_cast<double>(at(i)), level = static_cast<double>(i + 1);
      if (at(i) <= range.hi) least = std::max(least, level - m * x);
      if (at(i) > range.lo) most = std::min(most, level - m * (x - 1));
    }
    return std::pair{least, most};
  };
  const auto width = [&](double m) {
    const auto [least, most] = window(m);
    return most - least;
  };
  // The width is concave in m.
  const auto span = static_cast<double>(std::max<int64_t>(at(levels - 1) - at(0), 1));
  double low = 0, high = 2 * static_cast<double>(levels) / span;
  for (int step = 0; step < 60; ++step) {
    const double a = low + (high - low) * 0.4, b = low + (high - low) * 0.6;
    (width(a) < width(b) ? low : high) = width(a) < width(b) ? a : b;
  }
  const double m = (low + high) / 2;
  const auto [least, most] = window(m);
  Line line{static_cast<float>(m), static_cast<float>((least + most) / 2)};
  const auto look = [&](int64_t x) {
    if (x < range.lo || x > range.hi) return;
    const int64_t count = std::upper_bound(t.begin(), t.end(), x) - t.begin();
    line.off = std::max(line.off, std::abs(on_line(line, x, levels) - count));
  };
  for (const int64_t x : t) look(x), look(x - 1);
  look(range.lo), look(range.hi);
  return line;
}

}  // namespace

bool can_finish(const FinishSpec& spec) {
  const int64_t levels = spec.thresholds == nullptr ? 0 : spec.thresholds->levels();
  switch (spec.out.form) {
    case Form::bits:
      return levels == 1 && spec.out.base == 0;
    case Form::trits:
      return levels == 2 && spec.out.base == 0;
    case Form::bytes:
      return levels == 0 || (levels <= 255 && spec.out.base == 0);
    case Form::words:
      return levels == 0;
    default:
      return false;
  }
}

template <class Sum>
Finish<Sum>::Finish(const FinishSpec& spec, int64_t lanes_of_block)
    : form(spec.out.form),
      rows(spec.rows),
      lanes(lanes_of_block),
      levels(spec.thresholds == nullptr ? 0 : spec.thresholds->levels()) {
  FOLDSTREAM_CHECK(can_finish(spec));
  // Bits and trits come from whole tiles, of up to eight blocks.
  const int64_t whole = form == Form::bits || form == Form::trits ? 8 : 1;
  const int64_t padded = (blocks() + whole - 1) / whole * whole * lanes;
  if (levels == 0) {
    addend.assign(padded, 0);
    for (int64_t r = 0; r < rows; ++r) {
      addend[r] = static_cast<Sum>(spec.addend[r] - (form == Form::bytes ? spec.out.base : 0));
    }
    return;
  }
  constexpr int64_t kNever = std::numeric_limits<Sum>::max(),
                    kAlways = std::numeric_limits<Sum>::min();
  // With one more threshold on each side, which all sums and none reach.
  const int64_t entries = levels + 2;
  t.assign(padded * entries, kNever);
  flip.assign(padded, 0);
  const bool lines = sizeof(Sum) == 4 && levels > 3;
  way.assign(padded / lanes, lines ? Way::line : Way::count);
  if (lines) scale.assign(padded, 0), offset.assign(padded, 0);
  std::vector<int64_t> row(levels);
  for (int64_t r = 0; r < padded; ++r) {
    const int64_t block = r / lanes;
    Sum* entry = t.data() + block * entries * lanes + r % lanes;
    entry[0] = static_cast<Sum>(kAlways);
    if (r >= rows) {
      // Zero bits: of a trit that is the middle.
      if (form == Form::trits) entry[lanes] = static_cast<Sum>(kAlways);
      continue;
    }
    for (int64_t i = 0; i < levels; ++i) {
      row[i] = spec.thresholds->row(r)[i] - spec.addend[r];
      // The last sums that a lane could hold never occur, so a threshold out of reach may lie
      // there.
      entry[(i + 1) * lanes] = static_cast<Sum>(row[i] > spec.raw[r].hi    ? kNever
                                                : row[i] <= spec.raw[r].lo ? kAlways
                                                                           : row[i]);
    }
    if (spec.thresholds->flipped(r)) flip[r] = -1, any_flip = true;
    if (way[block] == Way::count) continue;
    const Line line = find_line(row, spec.raw[r]);
    scale[r] = line.scale, offset[r] = line.offset;
    way[block] = std::max(way[block], line.off == 0   ? Way::line
                                      : line.off == 1 ? Way::line_beside
                                                      : Way::count);
  }
}

template struct Finish<int32_t>;
template struct Finish<int64_t>;

}  // namespace foldstream::kernel
