// SPDX-License-Identifier: Apache-2.0
// How a small integer stands in bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foldstream::arith {

enum class Coding {
  kUnsigned,
  kSigned,   // two's complement
  kBipolar,  // one bit: 1 is +1, 0 is -1
  kTernary,  // two bits: bit 0 says not zero, bit 1 says negative
};

struct Type {
  Coding coding = Coding::kUnsigned;
  int bits = 1;

  std::int64_t minimum() const;
  std::int64_t maximum() const;
  bool holds(std::int64_t value) const;
  // The word for a value that the type holds, and the value of a word.
  std::uint64_t encode(std::int64_t value) const;
  std::int64_t decode(std::uint64_t word) const;
  std::string text() const;  // u2, s4, bipolar, ternary
};

}  // namespace foldstream::arith
