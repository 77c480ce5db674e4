// SPDX-License-Identifier: Apache-2.0
// An axis of a plot by powers of ten.
#pragma once

#include <cmath>

namespace foldstream {

struct LogScale {
  int first, last;  // exponents at the ends
  double from, to;  // where these are, in pixels
  double at(double value) const {
    return from + (std::log10(value) - first) / (last - first) * (to - from);
  }
};

inline int decade_below(double value) { return static_cast<int>(std::floor(std::log10(value))); }
inline int decade_above(double value) { return static_cast<int>(std::ceil(std::log10(value))); }

}  // namespace foldstream
