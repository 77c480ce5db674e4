// SPDX-License-Identifier: Apache-2.0
#include "src/arith/coding.h"

#include <fmt/format.h>

#include "src/util/error.h"

namespace foldstream::arith {

std::int64_t Type::minimum() const {
  switch (coding) {
    case Coding::kUnsigned:
      return 0;
    case Coding::kSigned:
      return -(std::int64_t{1} << (bits - 1));
    default:
      return -1;
  }
}

std::int64_t Type::maximum() const {
  switch (coding) {
    case Coding::kUnsigned:
      return (std::int64_t{1} << bits) - 1;
    case Coding::kSigned:
      return (std::int64_t{1} << (bits - 1)) - 1;
    default:
      return 1;
  }
}

bool Type::holds(std::int64_t value) const {
  return value >= minimum() && value <= maximum() && !(coding == Coding::kBipolar && value == 0);
}

std::uint64_t Type::encode(std::int64_t value) const {
  FOLDSTREAM_CHECK(holds(value));
  switch (coding) {
    case Coding::kBipolar:
      return value > 0;
    case Coding::kTernary:
      return value == 0 ? 0 : value > 0 ? 1 : 3;
    default:
      return static_cast<std::uint64_t>(value) & ((std::uint64_t{1} << bits) - 1);
  }
}

std::int64_t Type::decode(std::uint64_t word) const {
  switch (coding) {
    case Coding::kBipolar:
      return (word & 1) != 0 ? 1 : -1;
    case Coding::kTernary:
      return (word & 1) == 0 ? 0 : (word & 2) != 0 ? -1 : 1;
    case Coding::kSigned: {
      const std::int64_t value = static_cast<std::int64_t>(word & ((std::uint64_t{1} << bits) - 1));
      return (value >> (bits - 1)) != 0 ? value - (std::int64_t{1} << bits) : value;
    }
    default:
      return static_cast<std::int64_t>(word & ((std::uint64_t{1} << bits) - 1));
  }
}

std::string Type::text() const {
  switch (coding) {
    case Coding::kBipolar:
      return "bipolar";
    case Coding::kTernary:
      return "ternary";
    default:
      return fmt::format("{}{}", coding == Coding::kSigned ? "s" : "u", bits);
  }
}

}  // namespace foldstream::arith
