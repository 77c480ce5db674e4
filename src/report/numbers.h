// SPDX-License-Identifier: Apache-2.0
// Numbers for readers.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

namespace foldstream {

// 1234567 as "1,234,567".
inline std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  const std::ptrdiff_t first = value < 0 ? 1 : 0;
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

// Whole things of an estimate; what floating point adds to a whole number is not one more.
inline int64_t ceiling(double value) { return static_cast<int64_t>(std::ceil(value - 1e-9)); }

}  // namespace foldstream
