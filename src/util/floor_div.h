// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace foldstream {

// The quotient rounded down, whatever the signs.
inline int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

}  // namespace foldstream
