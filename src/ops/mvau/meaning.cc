// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/arith/scaled_levels.h"
#include "src/arith/weights.h"
#include "src/ir/folding.h"
#include "src/ops/mvau/mvau.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::mvau {
namespace {

template <class Element>
void narrow(const int64_t* from, int64_t count, Element* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Element>(from[i]);
}

// Sums of products of `Rows` rows of weights with `Vectors` vectors. All are read once for the
// whole tile and the sums stay in registers; compilers turn words of 16 bits into multiply-adds of
// eight and more.
template <int Rows, int Vectors, class Sum, class Weight, class Element>
void multiply_tile(const Weight* w, int64_t w_step, const Element* x, int64_t x_step,
                   int64_t columns, int64_t* acc, int64_t acc_step) {
  Sum sums[Rows][Vectors] = {};
  for (int64_t i = 0; i < columns; ++i) {
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < Vectors; ++v) {
        const auto weight = static_cast<Element>(w[r * w_step + i]);
        sums[r][v] += static_cast<Sum>(weight) * static_cast<Sum>(x[v * x_step + i]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) acc[v * acc_step + r] = sums[r][v];
  }
}

constexpr int kRows = 2, kVectors = 4;  // of a tile

// acc[v, r] for every vector and row, in elements as narrow as the types allow. Vectors in blocks
// that stay near the processor while all rows pass over them.
template <class Element, class Sum, class Weight>
void multiply(const Weight* weights, const Type& w, const Tensor& x, int64_t groups,
              std::vector<int64_t>& acc) {
  constexpr int64_t kBlockBytes = 128 * 1024;
  const int64_t rows = w.shape[0], columns = w.shape[1], group_rows = rows / groups;
  const int64_t x_step = groups * columns, vectors = x.count() / x_step;
  const int64_t block =
      std::max<int64_t>(kVectors, kBlockBytes / static_cast<int64_t>(sizeof(Element)) / x_step);
  std::vector<Element> values(std::min(block, vectors) * x_step);
  for (int64_t first = 0; first < vectors; first += block) {
    const int64_t count = std::min(block, vectors - first);
    narrow(x.ints.data() + first * x_step, count * x_step, values.data());
    for (int64_t r = 0; r < rows;) {
      const int64_t group = r / group_rows;
      const bool pair = r + kRows <= (group + 1) * group_rows;
      const Weight* row = weights + r * columns;
      for (int64_t v = 0; v < count;) {
        const bool full = v + kVectors <= count;
        const Element* vector = values.data() + v * x_step + group * columns;
        int64_t* to = acc.data() + (first + v) * rows + r;
        const auto tile = pair ? (full ? multiply_tile<kRows, kVectors, Sum, Weight, Element>
                                       : multiply_tile<kRows, 1, Sum, Weight, Element>)
                               : (full ? multiply_tile<1, kVectors, Sum, Weight, Element>
                                       : multiply_tile<1, 1, Sum, Weight, Element>);
        tile(row, columns, vector, x_step, columns, to, rows);
        v += full ? kVectors : 1;
      }
      r += pair ? kRows : 1;
    }
  }
}

// Weights that a few vectors pass are read once as they are: to copy them takes longer.
template <class Element, class Sum>
void multiply(const Tensor& w, const Tensor& x, int64_t groups, std::vector<int64_t>& acc) {
  if (x.count() / x.type.shape.back() < kVectors) {
    return multiply<Element, Sum>(w.ints.data(), w.type, x, groups, acc);
  }
  std::vector<Element> weights(w.ints.size());
  narrow(w.ints.data(), w.count(), weights.data());
  multiply<Element, Sum>(weights.data(), w.type, x, groups, acc);
}

constexpr int kMostHardwareBits = 16;

bool fits_words(const Type& type) { return type.min() >= INT16_MIN && type.max() <= INT16_MAX; }

}  // namespace

namespace {

// Bounds that were proved spare the look at every weight. Weights that can be written may be any of
// their type.
arith::Range sum_range(const Node& node, const Tensor& w, const Type& in) {
  if (memory_place(node) == MemoryPlace::writable) {
    return arith::row_range(w.type, w.type.shape[1], in);
  }
  if (node.attr.contains("range")) {
    const std::vector<int64_t> bound = node.integers("range", {});
    if (bound.size() != 2 || bound[0] > bound[1]) throw Error("'range' must be [least, greatest]");
    return {bound[0], bound[1]};
  }
  arith::Range all = arith::row_range(w, 0, in);
  for (int64_t r = 1; r < w.type.shape[0]; ++r) {
    const arith::Range range = arith::row_range(w, r, in);
    all = {std::min(all.lo, range.lo), std::max(all.hi, range.hi)};
  }
  return all;
}

}  // namespace

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
  if (rows < 1 || columns < 1) {
    throw Error(fmt::format("weights of shape {}", to_string(w->type.shape)),
                "a layer has a row and a column at least");
  }
  groups = node.integer("groups", 1);
  if (groups < 1 || rows % groups != 0) {
    throw Error(fmt::format("groups = {} of {} rows", groups, rows),
                "groups have the same number of rows");
  }
  if (in.shape.back() % groups != 0 || columns != in.shape.back() / groups) {
    throw Error(
        fmt::format("weights of shape {} for {}vectors of {}", to_string(w->type.shape),
                    groups > 1 ? fmt::format("{} groups in ", groups) : "", in.shape.back()),
        "the second dimension of the weights is the length of a vector, or of a group of it");
  }
  if (w->type.bits > 16 || in.bits > 32) {
    throw Error(fmt::format("weights of {} bits and an operand of {}", w->type.bits, in.bits),
                "legal are weights of up to 16 bits and operands of up to 32");
  }
  vectors = in.count() / in.shape.back();
  sums = sum_range(node, *w, in);
  foldstream::Shape out_shape = in.shape;
  out_shape.back() = rows;
  acc = type_for_range(sums.lo, sums.hi, out_shape);
  if (node.tensor("t") != nullptr) thresholds.emplace(node, rows);
  out = thresholds ? thresholds->result(out_shape) : acc;
}

std::vector<int64_t> reuses(const Node& node) {
  constexpr int64_t kMostVectors = 64;  // sums that look-up tables keep well
  if (memory_place(node) != MemoryPlace::streamed || node.integer("groups", 1) != 1) return {1};
  std::vector<int64_t> legal = divisors(node.in_type(0).count() / node.in_type(0).shape.back());
  std::erase_if(legal, [](int64_t vectors) { return vectors > kMostVectors; });
  return legal;
}

Folding::Folding(const Node& node) {
  const Tensor& w = *node.tensor("w");
  if (node.in_type(0).bits > kMostHardwareBits) {
    throw Error(
        fmt::format("{}: an operand of {} bits", describe(node), node.in_type(0).bits),
        fmt::format("hardware multiplies operands of up to {} bits: put a quantizer between "
                    "the layers",
                    kMostHardwareBits));
  }
  groups = node.integer("groups", 1);
  const int64_t group_rows = w.type.shape[0] / groups;
  pe = folding(node, "pe", group_rows, "output channels");
  simd = folding(node, "simd", w.type.shape[1], "input channels");
  const int64_t resource = node.integer("dsp", 0);
  if (resource != 0 && (resource != 1 || !may_use_dsp(node))) {
    throw Error(fmt::format("{}: dsp = {}", describe(node), resource),
                may_use_dsp(node) ? "legal values are 0, 1" : "legal values are 0");
  }
  dsp = resource == 1;
  memory = memory_place(node);
  scaled = arith::is_scaled(node);
  word_latency = memory_latency(node);
  row_folds = w.type.shape[0] / pe, column_folds = w.type.shape[1] / simd;
  group_row_folds = group_rows / pe;
  reuse = node.integer("reuse", 1);
  if (reuse != 1) {
    const std::vector<int64_t> legal = reuses(node);
    if (std::find(legal.begin(), legal.end(), reuse) == legal.end()) {
      throw Error(fmt::format("{}: reuse = {}", describe(node), reuse),
                  fmt::format("legal values are {}", fmt::join(legal, ", ")));
    }
  }
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor& w = *node.tensor("w");
  const Tensor& x = *in[0];
  const int64_t groups = node.integer("groups", 1);
  Tensor result = make_zero(node.out[0]);
  const int64_t largest =
      std::max(-w.type.min(), w.type.max()) * std::max(-x.type.min(), x.type.max());
  if (fits_words(w.type) && fits_words(x.type) && largest <= INT32_MAX / w.type.shape[1]) {
    multiply<int16_t, int32_t>(w, x, groups, result.ints);
  } else {
    multiply<int64_t, int64_t>(w, x, groups, result.ints);
  }
  const std::vector<int64_t> range = node.integers("range", {INT64_MIN, INT64_MAX});
  for (const int64_t acc : result.ints) {
    if (acc < range[0] || acc > range[1]) {
      throw Error(fmt::format("{}: a sum of {}", describe(node), acc),
                  fmt::format("'range' promises {} to {}", range[0], range[1]));
    }
  }
  if (node.tensor("t") != nullptr) {
    const int64_t rows = w.type.shape[0];
    const Thresholds thresholds(node, rows);
    for (int64_t first = 0; first < result.count(); first += rows) {
      for (int64_t r = 0; r < rows; ++r) {
        result.ints[first + r] = thresholds.apply(r, result.ints[first + r]);
      }
    }
  }
  return {std::move(result)};
}

}  // namespace foldstream::mvau
