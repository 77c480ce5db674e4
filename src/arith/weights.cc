// SPDX-License-Identifier: Apache-2.0
#include "src/arith/weights.h"

#include <algorithm>
#include <bit>

namespace foldstream::arith {

std::vector<Range> row_ranges(const Tensor& w, const foldstream::Type& in, const Range& bound) {
  std::vector<Range> ranges;
  for (int64_t row = 0; row < w.type.shape[0]; ++row) {
    const Range range = row_range(w, row, in);
    ranges.push_back({std::max(range.lo, bound.lo), std::min(range.hi, bound.hi)});
  }
  return ranges;
}

Type weight_type(const Tensor& w, size_t stride) {
  // Bitwise only, so that it vectorises.
  int64_t not_bipolar = 0, not_ternary = 0, magnitude = 0, sign = 0;
  constexpr size_t kPiece = 4096;
  for (size_t begin = 0; begin < w.ints.size(); begin += kPiece * stride) {
    for (size_t i = begin; i < std::min(begin + kPiece * stride, w.ints.size()); i += stride) {
      const int64_t value = w.ints[i];
      not_bipolar |= (value + 1) & ~int64_t{2};
      not_ternary |= (value + 1) & ~int64_t{3};
      magnitude |= value ^ (value >> 63);
      sign |= value;
    }
    // Numbers that need all bits of the tensor's type: no others could need more.
    const int bits = std::bit_width(static_cast<uint64_t>(magnitude));
    if (not_ternary != 0 && sign < 0 && bits + 1 == w.type.bits) break;
  }
  if (not_bipolar == 0 && sign < 0) return {Coding::kBipolar, 1};
  const int bits = std::bit_width(static_cast<uint64_t>(magnitude));
  if (sign >= 0) return {Coding::kUnsigned, std::max(bits, 1)};
  if (not_ternary == 0 && bits == 1) return {Coding::kTernary, 2};
  return {Coding::kSigned, bits + 1};
}

Range row_range(const Tensor& w, int64_t row, const foldstream::Type& in) {
  // Weights have at most 16 bits; sums of so few stay in 32, which vectorises well.
  constexpr int64_t kChunk = 16384;
  const int64_t columns = w.type.shape[1];
  const int64_t* first = w.ints.data() + row * columns;
  int64_t total = 0, magnitude = 0;
  for (int64_t begin = 0; begin < columns; begin += kChunk) {
    int32_t sum = 0, absolute = 0;
    for (int64_t i = begin; i < std::min(begin + kChunk, columns); ++i) {
      const auto value = static_cast<int32_t>(first[i]);
      sum += value;
      absolute += value < 0 ? -value : value;
    }
    total += sum, magnitude += absolute;
  }
  const int64_t positive = (magnitude + total) / 2, negative = (total - magnitude) / 2;
  return {positive * in.min() + negative * in.max(), positive * in.max() + negative * in.min()};
}

Range row_range(const foldstream::Type& w, int64_t columns, const foldstream::Type& in) {
  const auto [least, greatest] =
      std::minmax({w.min() * in.min(), w.min() * in.max(), w.max() * in.min(), w.max() * in.max()});
  return {columns * least, columns * greatest};
}

Type activation_type(const foldstream::Type& type) {
  return {type.is_signed ? Coding::kSigned : Coding::kUnsigned, type.bits};
}

}  // namespace foldstream::arith
