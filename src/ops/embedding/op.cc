// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Operands: indices, table.
std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 2) throw Error("takes two operands");
  const Type &indices = node.in_type(0), &table = node.in_type(1);
  if (indices.is_float) throw Error(fmt::format("indices are {}", to_string(indices)));
  if (table.shape.size() != 2 || table.count() == 0) {
    throw Error(fmt::format("the table is {}", to_string(table)),
                "a table of computed indices has the shape [entries, width]");
  }
  Type type = table;
  type.shape = indices.shape;
  type.shape.push_back(table.shape[1]);
  if (!checked_element_count(type.shape)) {
    throw Error(fmt::format("gives {}, more than can be held", to_string(type)));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor &indices = *in[0], &table = *in[1];
  const int64_t entries = table.type.shape[0], width = table.type.shape[1];
  Tensor out = make_zero(node.out[0]);
  const auto rows = [&](const auto& from, auto to) {
    for (const int64_t index : indices.ints) {
      const int64_t row = index < 0 ? index + entries : index;
      if (row < 0 || row >= entries) {
        throw Error(fmt::format("index {} in a table of {} rows", index, entries));
      }
      to = std::copy_n(from.begin() + row * width, width, to);
    }
  };
  if (table.type.is_float) {
    rows(table.reals, out.reals.begin());
  } else {
    rows(table.ints, out.ints.begin());
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  constexpr int64_t kInt64 = 7;
  const std::string indices =
      sink.temporary("indices", integer_type(64, true, node.in_type(0).shape));
  sink.node("", "Cast", {sink.input(0)}, {indices}, {{"to", kInt64}});
  sink.node("", "Gather", {sink.input(1), indices}, {sink.output(0)}, {{"axis", int64_t{0}}});
}

// The indices as integers without a sign: as they are, or those of the host checked on their way.
Value unsigned_indices(Lowering& lowering, int64_t entries) {
  const Node& node = lowering.node();
  const Traced& indices = lowering.in(0);
  if (indices.is_integer()) return lowering.natural(indices);
  Graph& target = lowering.target();
  Node& real =
      target.add(require_op("cast"), {indices.kept}, node.name + "_indices", {{"type", "f32"}});
  const auto bits = std::max<int64_t>(1, std::bit_width(static_cast<uint64_t>(entries - 1)));
  return {&target.add(require_op("input_codes"), {{&real, 0}}, node.name + "_codes",
                      {{"bits", bits}, {"signed", int64_t{0}}}),
          0};
}

void lower(const Node& node, Lowering& lowering) {
  constexpr int64_t kMostEntries = 65536;  // whose indices have codes
  const int64_t entries = node.in_type(1).shape[0];
  const Traced& indices = lowering.in(0);
  if (indices.is_constant() || !lowering.in(1).is_constant()) {
    return lowering.keep("its table is no constant, or its indices are one",
                         "use a constant table and computed indices");
  }
  // Codes keep what they are worth; floats may be small integers of one scale.
  const std::optional<Traced> table = lowering.in(1).codes ? lowering.in(1) : lowering.weights(1);
  if (!table || table->axis == 0 || entries > kMostEntries) {
    return lowering.keep(entries > kMostEntries
                             ? fmt::format("its table has {} rows", entries)
                             : "its table isn't integers of one scale, or one for each column",
                         fmt::format("quantize the table, of at most {} rows", kMostEntries));
  }
  if (indices.is_integer()) {
    const std::optional<Traced> exact = lowering.affine(0);
    const bool plain = exact && exact->axis < 0 && exact->scale[0] == 1 && exact->bias[0] == 0;
    if (!plain || exact->lo[0] < 0 || exact->hi[0] >= entries || exact->q.type().is_signed) {
      return lowering.keep("its indices aren't integers from 0 to the last row",
                           "compute indices of scale 1 without a sign");
    }
  }
  const Value rows = unsigned_indices(lowering, entries);
  Traced result = *table;
  const auto [lo, hi] = std::minmax_element(table->codes->ints.begin(), table->codes->ints.end());
  const Tensor words = make_ints(table->codes->type.shape, table->codes->ints);
  result.q = {
      &lowering.target().add(require_op("lookup"), {rows}, node.name, {}, {{"table", words}}), 0};
  result.lo = {*lo}, result.hi = {*hi};
  result.codes.reset();
  result.layout = {};
  result.shape = node.out[0].shape;
  if (result.axis >= 0) result.axis = static_cast<int>(result.shape.size()) - 1;
  lowering.set(0, std::move(result));
}

}  // namespace

extern const Op op_embedding;
const Op op_embedding{.name = "embedding",
                      .doc = "rows of a table, by computed indices",
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .lower = lower,
                      .takes_floats = true};

}  // namespace foldstream
