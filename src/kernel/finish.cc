// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/finish.h"

#include <algorithm>
#include <bit>
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

// As the kernels compute it.
int64_t level_on(const Line& line, int64_t sum, int64_t levels) {
  const float y = static_cast<float>(static_cast<int32_t>(sum)) * line.scale + line.offset;
  const float within = std::min(std::max(y, 0.0F), static_cast<float>(levels));
  return std::bit_cast<int32_t>(within + kIntegers) - std::bit_cast<int32_t>(kIntegers);
}

// A line that is to give the count of thresholds t (ascending) that sums of `range` reach; where it
// leads below no threshold or above all of them the nearest of both is meant. It and the count both
// ascend, so they are never further apart than just before or at a threshold.
class LineSearch {
 public:
  LineSearch(const std::vector<int64_t>& t, Range range) : levels_(std::ssize(t)) {
    const auto look = [&](int64_t x) {
      if (x < range.lo || x > range.hi) return;
      points_.push_back({x, std::upper_bound(t.begin(), t.end(), x) - t.begin()});
    };
    for (const int64_t x : t) look(x - 1), look(x);
    look(range.lo), look(range.hi);
    // The width is concave in the slope.
    double low = 0, high = 2 * static_cast<double>(levels_) /
                           static_cast<double>(std::max<int64_t>(range.hi - range.lo, 1));
    for (int step = 0; step < 60; ++step) {
      const double a = low + (high - low) * 0.4, b = low + (high - low) * 0.6;
      (width(a) < width(b) ? low : high) = width(a) < width(b) ? a : b;
    }
    slope_ = (low + high) / 2;
  }

  // One that gives the count, or up to `above` more; else way `count`.
  Line find(Way way, int64_t above) const {
    const auto [least, most] = window(slope_);
    const Line line{way, static_cast<float>(slope_),
                    static_cast<float>((least + most + static_cast<double>(above) - 1) / 2)};
    const bool fits = std::ranges::all_of(points_, [&](const Point& point) {
      const int64_t level = level_on(line, point.x, levels_);
      return level >= point.level && level <= point.level + above;
    });
    return fits ? line : Line();
  }

 private:
  struct Point {
    int64_t x, level;
  };

  // Offsets that suit a slope, for rounding towards zero: at least `first`, below `second`.
  std::pair<double, double> window(double slope) const {
    double least = -kFar, most = kFar;
    for (const Point& point : points_) {
      const double offset = static_cast<double>(point.level) - slope * static_cast<double>(point.x);
      if (point.level > 0) least = std::max(least, offset);
      if (point.level < levels_) most = std::min(most, offset + 1);
    }
    return {least, most};
  }
  double width(double slope) const {
    const auto [least, most] = window(slope);
    return most - least;
  }

  static constexpr double kFar = 1e9;
  int64_t levels_;
  std::vector<Point> points_;
  double slope_ = 0;  // with the widest window
};

Line find_line(const std::vector<int64_t>& t, const Range& range) {
  // Beyond them the level is that of the end.
  const Range ends{std::max(range.lo, t.front() - 1), std::min(range.hi, t.back())};
  if (ends.lo > ends.hi) {
    const auto levels = static_cast<float>(t.size());
    return {.way = Way::line, .offset = range.hi < t.front() ? 0 : levels};
  }
  const Line whole = LineSearch(t, ends).find(Way::line, 0);
  if (whole.way != Way::count) return whole;
  const Range inside{std::max(range.lo, t.front()), std::min(range.hi, t.back() - 1)};
  if (inside.lo > inside.hi) return {.way = Way::line_inside};
  const LineSearch search(t, inside);
  const Line exact = search.find(Way::line_inside, 0);
  return exact.way != Way::count ? exact : search.find(Way::line_above, 1);
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
