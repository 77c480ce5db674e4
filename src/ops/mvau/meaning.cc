// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/folding.h"
#include "src/ops/mvau/mvau.h"
#include "src/util/error.h"

namespace foldstream::mvau {
namespace {

// A row of weights against one vector.
template <class Element, class Sum>
Sum dot(const Element* w, const Element* x, int64_t count) {
  Sum sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<Sum>(w[i]) * static_cast<Sum>(x[i]);
  return sum;
}

template <class Element>
void narrow(const int64_t* from, int64_t count, Element* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Element>(from[i]);
}

// acc[v, r] for every vector and row, in elements as narrow as the types allow: the time goes into
// reading the weights, which are copied once a row.
template <class Element, class Sum>
void multiply(const Tensor& w, const Tensor& x, std::vector<int64_t>& acc) {
  const int64_t rows = w.type.shape[0], columns = w.type.shape[1];
  const int64_t vectors = x.count() / columns;
  std::vector<Element> values(x.ints.size()), row(columns);
  narrow(x.ints.data(), x.count(), values.data());
  for (int64_t r = 0; r < rows; ++r) {
    narrow(w.ints.data() + r * columns, columns, row.data());
    for (int64_t v = 0; v < vectors; ++v) {
      acc[v * rows + r] = dot<Element, Sum>(row.data(), values.data() + v * columns, columns);
    }
  }
}

bool fits_words(const Type& type) { return type.min() >= INT16_MIN && type.max() <= INT16_MAX; }

}  // namespace

WeightFormat weight_format(const Tensor& w, size_t stride) {
  // Bitwise only, so that it vectorises.
  int64_t not_bipolar = 0, not_ternary = 0, magnitude = 0, sign = 0;
  for (size_t i = 0; i < w.ints.size(); i += stride) {
    const int64_t value = w.ints[i];
    not_bipolar |= (value + 1) & ~int64_t{2};
    not_ternary |= (value + 1) & ~int64_t{3};
    magnitude |= value ^ (value >> 63);
    sign |= value;
  }
  if (not_bipolar == 0 && sign < 0) return {WeightFormat::Kind::bipolar, 1};
  const int bits = std::bit_width(static_cast<uint64_t>(magnitude));
  if (sign >= 0) return {WeightFormat::Kind::unsigned_, std::max(bits, 1)};
  if (not_ternary == 0 && bits == 1) return {WeightFormat::Kind::ternary, 2};
  return {WeightFormat::Kind::signed_, bits + 1};
}

Range row_range(const Tensor& w, int64_t row, const Type& in) {
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

Shape::Shape(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand with vectors along its last axis");
  }
  in = node.in_type(0);
  w = node.tensor("w");
  if (w == nullptr || w->type.is_float || w->type.shape.size() != 2) {
    throw Error("weights 'w' must be integers of shape [rows, columns]");
  }
  rows = w->type.shape[0], columns = w->type.shape[1];
  if (columns != in.shape.back()) {
    throw Error(fmt::format("weights of shape {} for vectors of {}", to_string(w->type.shape),
                            in.shape.back()),
                "the second dimension of the weights is the length of a vector");
  }
  if (w->type.bits > 16 || in.bits > 32) {
    throw Error(fmt::format("weights of {} bits and an operand of {}", w->type.bits, in.bits),
                "legal are weights of up to 16 bits and operands of up to 32");
  }
  vectors = in.count() / columns;
  Range all = row_range(*w, 0, in);
  for (int64_t r = 1; r < rows; ++r) {
    const Range range = row_range(*w, r, in);
    all = {std::min(all.lo, range.lo), std::max(all.hi, range.hi)};
  }
  const std::vector<int64_t> bound = node.integers("range", {all.lo, all.hi});
  if (bound.size() != 2 || bound[0] > bound[1]) throw Error("'range' must be [least, greatest]");
  all = {std::max(all.lo, bound[0]), std::min(all.hi, bound[1])};
  if (all.lo > all.hi) throw Error("'range' holds no sum that the weights can give");
  foldstream::Shape out_shape = in.shape;
  out_shape.back() = rows;
  acc = type_for_range(all.lo, all.hi, out_shape);
  if (node.tensor("t") != nullptr) thresholds.emplace(node, rows);
  out = thresholds ? thresholds->result(out_shape) : acc;
}

Folding::Folding(const Node& node) {
  const Tensor& w = *node.tensor("w");
  pe = folding(node, "pe", w.type.shape[0], "output channels");
  simd = folding(node, "simd", w.type.shape[1], "input channels");
  row_folds = w.type.shape[0] / pe, column_folds = w.type.shape[1] / simd;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor& w = *node.tensor("w");
  const Tensor& x = *in[0];
  Tensor result = make_zero(node.out[0]);
  const int64_t largest =
      std::max(-w.type.min(), w.type.max()) * std::max(-x.type.min(), x.type.max());
  if (fits_words(w.type) && fits_words(x.type) && largest <= INT32_MAX / w.type.shape[1]) {
    multiply<int16_t, int32_t>(w, x, result.ints);
  } else {
    multiply<int64_t, int64_t>(w, x, result.ints);
  }
  const std::vector<int64_t> range = node.integers("range", {INT64_MIN, INT64_MAX});
  for (int64_t acc : result.ints) FOLDSTREAM_CHECK(acc >= range[0] && acc <= range[1]);
  if (node.tensor("t") != nullptr) {
    const int64_t rows = w.type.shape[0];
    const Thresholds thresholds(node, rows);
    for (int64_t i = 0; i < result.count(); ++i) {
      result.ints[i] = thresholds.apply(i % rows, result.ints[i]);
    }
  }
  return {std::move(result)};
}

}  // namespace foldstream::mvau
