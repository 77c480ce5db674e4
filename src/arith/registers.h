// SPDX-License-Identifier: Apache-2.0
// Where sums of products have registers: a rule of few numbers, since rhythm asks for every
// candidate of a folding search; generators are then told to keep to it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace foldstream::arith {

// Registers inside a sum of so many products of numbers of so many bits.
inline int64_t sum_registers(int64_t lanes, int bits, int other_bits) {
  const int64_t height = lanes * std::min(bits, other_bits);
  return height <= 24 ? 0 : height <= 128 ? 1 : height <= 768 ? 2 : 3;
}

// What `make(levels_per_register)` gives with the most registers in its sums that stay within
// `registers`, besides `fixed` ones before them. `latency_of` what was made.
template <class Make, class Latency>
auto within(int64_t fixed, int64_t registers, const Make& make, const Latency& latency_of) {
  constexpr int64_t kMostLevels = 6;
  for (int64_t levels = 2; registers > 0 && levels <= kMostLevels;) {
    auto made = make(static_cast<int>(levels));
    const int64_t more = latency_of(made) - fixed;
    if (more <= registers) return made;
    // A sum has at least so many levels, and a register behind every so many.
    levels = std::max(levels + 1, levels * more / (registers + 1) + 1);
  }
  return make(0);
}

}  // namespace foldstream::arith
