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
  Way way = Way::count;
  float scale = 0, offset = 0;
};

// The line that gives the count of thresholds t (ascending) that sums of `range` reach, from the
// first threshold on and below the last. It and the count both ascend, so they are never further
// apart than just before or at a threshold.
Line find_line(const std::vector<int64_t>& t, Range range) {
  range.lo = std::max(range.lo, t.front());
  range.hi = std::min(range.hi, t.back() - 1);
  if (range.lo > range.hi) return {.way = Way::line};
  struct Point {
    int64_t x, level;
  };
  std::vector<Point> points;  // where the line must be at least, and less than one above
  const auto look = [&](int64_t x) {
    if (x < range.lo || x > range.hi) return;
    points.push_back({x, std::upper_bound(t.begin(), t.end(), x) - t.begin()});
  };
  for (const int64_t x : t) look(x - 1), look(x);
  look(range.lo), look(range.hi);
  // Offsets that suit slope m: at least `first`, below `second`.
  const auto window = [&](double m) {
    double least = -1e9, most = 1e9;
    for (const Point& point : points) {
      const double offset = static_cast<double>(point.level) - m * static_cast<double>(point.x);
      least = std::max(least, offset), most = std::min(most, offset + 1);
    }
    return std::pair{least, most};
  };
  const auto width = [&](double m) {
    const auto [least, most] = window(m);
    return most - least;
  };
  // The width is concave in m.
  double low = 0, high = 2 * static_cast<double>(t.size()) /
                         static_cast<double>(std::max<int64_t>(range.hi - range.lo, 1));
  for (int step = 0; step < 60; ++step) {
    const double a = low + (high - low) * 0.4, b = low + (high - low) * 0.6;
    (width(a) < width(b) ? low : high) = width(a) < width(b) ? a : b;
  }
  const double m = (low + high) / 2;
  const auto [least, most] = window(m);
  for (const auto& [way, above] : {std::pair{Way::line, 0}, std::pair{Way::line_above, 1}}) {
    const Line line{way, static_cast<float>(m), static_cast<float>((least + most + above) / 2)};
    const auto fits = [&, above = above](const Point& point) {
      // As the kernel computes it.
      const auto y = static_cast<int64_t>(
          static_cast<float>(static_cast<int32_t>(point.x)) * line.scale + line.offset);
      return y >= point.level && y <= point.level + above;
    };
    if (std::all_of(points.begin(), points.end(), fits)) return line;
  }
  return {};
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
    way[block] = std::max(way[block], line.way);
  }
}

template struct Finish<int32_t>;
template struct Finish<int64_t>;

}  // namespace foldstream::kernel
