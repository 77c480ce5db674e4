// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/arith/scaled_levels.h"
#include "src/arith/weights.h"
#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/ops/mvau/mvau.h"
#include "src/rtl/block.h"

namespace foldstream::mvau {
namespace {

std::vector<Type> infer(const Node& node) {
  const Shape shape(node);
  if (shape.thresholds && arith::has_scaling(node)) {
    arith::check_scaling(node, *shape.thresholds,
                         arith::row_ranges(*shape.w, shape.in, shape.sums));
  }
  return {shape.out};
}

std::vector<Fold> folds(const Node& node) {
  const foldstream::Shape& shape = node.tensor("w")->type.shape;
  std::vector<Fold> folds{{"pe", divisors(shape[0] / node.integer("groups", 1))},
                          {"simd", divisors(shape[1])}};
  if (may_use_dsp(node)) folds.push_back({"dsp", {0, 1}});
  if (arith::may_scale(node)) folds.push_back({"scaled", {0, 1}});
  if (const auto legal = reuses(node); legal.size() > 1) folds.push_back({"reuse", legal});
  return folds;
}

Ports ports(const Node& node) {
  const Folding folding(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{folding.simd, in.bits, in.count() / folding.simd}},
          .out = {{folding.pe, out.bits, out.count() / folding.pe}}};
}

constexpr uint32_t kTakesWord = 2;  // of weights, the input after the vector

// A group of vectors shares each word: it is stored before its first step and freed with its last
// product; then its results are given.
Rhythm shared_rhythm(const Node& node, const Folding& folding, Family family) {
  const int64_t vectors = node.in_type(0).count() / node.in_type(0).shape.back();
  const int64_t reuse = folding.reuse, words = folding.row_folds * folding.column_folds;
  const int64_t beats = reuse * folding.column_folds;
  const Phase first{.take = kTakesWord, .acquire = beats}, others{.steps = reuse - 1},
      most{.steps = reuse - 2}, last{.release = beats};
  std::vector<Block> group;
  if (words == 1) {
    group.push_back({1, {first, most, last}});
  } else {
    group.push_back({1, {first, others}});
    group.push_back({words - 2, {{.take = kTakesWord}, others}});
    group.push_back({1, {{.take = kTakesWord}, most, last}});
  }
  group.push_back({1, {{.steps = idle_steps(node, folding, family)}}});
  group.push_back({1, {{.steps = reuse * folding.row_folds, .give = 1}}});
  for (Block& block : group) {
    std::erase_if(block.phases, [](const Phase& phase) { return phase.steps == 0; });
  }
  std::erase_if(group,
                [](const Block& block) { return block.repeat == 0 || block.phases.empty(); });
  Rhythm rhythm{.frame = repeated(group, vectors / reuse)};
  rhythm.store = Store{2 * beats, vectors * folding.column_folds};
  rhythm.hold = kHoldPlaces;
  finish_rhythm(node, 1, 1, rhythm);
  return rhythm;
}

// Rows outside, columns inside: a group's columns are taken with its first rows and kept for the
// others.
Rhythm rhythm(const Node& node, Family family) {
  const Folding folding(node);
  if (folding.reuse > 1) return shared_rhythm(node, folding, family);
  const int64_t vectors = node.in_type(0).count() / node.in_type(0).shape.back() * folding.groups;
  const int64_t row_folds = folding.group_row_folds, column_folds = folding.column_folds;
  const bool streamed = folding.memory == MemoryPlace::streamed;
  const auto sum = [&](uint32_t take) {
    if (streamed) take |= kTakesWord;
    std::vector<Phase> phases;
    if (column_folds > 1) phases.push_back({column_folds - 1, take, 0});
    phases.push_back({1, take, 1});
    return phases;
  };
  Rhythm rhythm;
  const std::vector<Phase> first = sum(1), next = sum(0);
  if (row_folds == 1) {
    rhythm.frame = {{vectors, first}};
  } else if (vectors == 1) {
    rhythm.frame = {{1, first}, {row_folds - 1, next}};
  } else if (column_folds == 1) {
    rhythm.frame = {{vectors, {first[0], {row_folds - 1, next[0].take, 1}}}};
  } else {
    std::vector<Phase> phases = first;
    for (int64_t fold = 1; fold < row_folds; ++fold) {
      phases.insert(phases.end(), next.begin(), next.end());
    }
    rhythm.frame = {{vectors, phases}};
  }
  if (streamed) rhythm.hold = kHoldPlaces;
  finish_rhythm(node, pipeline_stages(node, folding, family), column_folds, rhythm);
  return rhythm;
}

Cost node_cost(const Node& node, Family family) {
  return cost(node, rhythm(node, family), family, false);
}

Cost least_cost(const Node& node, Family family) {
  return cost(node, rhythm(node, family), family, true);
}

Hardware emit_modules(const Node& node, Family family, const std::string& instance) {
  return emit(node, rhythm(node, family), family, instance);
}

// FINN counts weights by their stored width (a bipolar weight is one bit) and thresholds by rows.
std::map<std::string, int64_t> counts(const Node& node) {
  const Shape shape(node);
  const int64_t weights = shape.rows * shape.columns, w_bits = arith::weight_type(*shape.w).bits;
  const auto [low, high] = std::minmax<int64_t>({w_bits, shape.in.bits});
  std::map<std::string, int64_t> counts{
      {fmt::format("op_mac_{}bx{}b", low, high), weights * shape.vectors},
      {fmt::format("param_weight_{}b", w_bits), weights}};
  if (shape.thresholds) {
    counts[fmt::format("param_threshold_{}b", shape.acc.bits)] = shape.rows;
  }
  return counts;
}

// The weights as [groups, columns, rows of a group], without the first for one group.
Tensor transposed_weights(const Node& node) {
  const Tensor& w = *node.tensor("w");
  const int64_t groups = node.integer("groups", 1);
  const int64_t rows = w.type.shape[0] / groups, columns = w.type.shape[1];
  foldstream::Shape shape{columns, rows};
  if (groups > 1) shape.insert(shape.begin(), groups);
  Tensor transposed = make_zero(integer_type(w.type.bits, w.type.is_signed, shape));
  constexpr int64_t kTile = 32;  // a column of the whole would be a cache miss for each element
  for (int64_t first = 0; first < w.count(); first += rows * columns) {
    for (int64_t tile = 0; tile < rows; tile += kTile) {
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t r = tile; r < std::min(tile + kTile, rows); ++r) {
          transposed.ints[first + c * rows + r] = w.ints[first + r * columns + c];
        }
      }
    }
  }
  return transposed;
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const bool thresholds = node.tensor("t") != nullptr;
  const foldstream::Shape& shape = node.out[0].shape;
  const int64_t groups = node.integer("groups", 1);
  const std::string weights = sink.constant(transposed_weights(node), "weights");
  const std::string sums = thresholds ? sink.temporary("sums") : sink.output(0);
  if (groups == 1) {
    sink.node("", "MatMul", {sink.input(0), weights}, {sums});
  } else {
    // One matrix for each group, which multiplies the group's row of the vector.
    const auto reshape = [&](const std::string& from, const std::string& to,
                             const foldstream::Shape& as, const char* hint) {
      const foldstream::Shape rank{static_cast<int64_t>(as.size())};
      sink.node("", "Reshape", {from, sink.index_constant(make_ints(rank, as), hint)}, {to});
    };
    const Tensor& w = *node.tensor("w");
    const foldstream::Shape split{node.in_type(0).count() / (groups * w.type.shape[1]), groups, 1,
                                  w.type.shape[1]};
    foldstream::Shape product = split;
    product.back() = w.type.shape[0] / groups;
    const std::string parts = sink.temporary("groups", float_type(split));
    const std::string products = sink.temporary("products", float_type(product));
    reshape(sink.input(0), parts, split, "split");
    sink.node("", "MatMul", {parts, weights}, {products});
    reshape(products, sums, shape, "shape");
  }
  if (thresholds) {
    Thresholds(node, shape.back()).to_onnx(sink, sums, shape, shape.size() - 1);
  }
}

}  // namespace
}  // namespace foldstream::mvau

namespace foldstream {

extern const Op op_mvau;
const Op op_mvau{.name = "mvau",
                 .doc = "matrix times vector, with thresholds on the sums if it has any",
                 .kind = Op::Kind::hardware,
                 .to_onnx = mvau::to_onnx,
                 .infer = mvau::infer,
                 .eval = mvau::eval,
                 .folds = mvau::folds,
                 .ports = mvau::ports,
                 .rhythm = mvau::rhythm,
                 .cost = mvau::node_cost,
                 .least_cost = mvau::least_cost,
                 .emit = mvau::emit_modules,
                 .memories = mvau::memories,
                 .counts = mvau::counts,
                 .finn_name = "MVAU",
                 .kernels = &mvau::kernels};

}  // namespace foldstream
