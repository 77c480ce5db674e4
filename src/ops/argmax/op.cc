// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/order.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"ArgMax"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const int64_t axis =
      checked_axis(integer_attr(source, "axis", 0), source.in[0].type().shape.size());
  Node& node =
      graph.add(require_op("argmax"), {source.in[0]}, source.name,
                {{"axis", axis},
                 {"keepdims", int64_t{integer_attr(source, "keepdims", 1) != 0}},
                 {"select_last", int64_t{integer_attr(source, "select_last_index", 0) != 0}}});
  return {{&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Shape shape = node.in_type(0).shape;
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(node.in_type(0))));
  }
  if (node.in_type(0).count() == 0) throw Error("its operand is empty");
  if (node.integer("keepdims", 1) != 0) {
    shape[axis] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  return {integer_type(64, true, std::move(shape))};
}

template <class T>
void select(const std::vector<T>& values, const Shape& shape, int64_t axis, bool last,
            std::vector<int64_t>& out) {
  const int64_t size = shape[axis];
  int64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  for (size_t i = 0; i < out.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t base = at / inner * size * inner + at % inner;
    int64_t best = 0;
    for (int64_t c = 1; c < size; ++c) {
      const T &x = values[base + c * inner], &y = values[base + best * inner];
      if (x > y || (last && x == y)) best = c;
    }
    out[i] = best;
  }
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const int64_t axis = node.integer("axis");
  const bool last = node.integer("select_last", 0) != 0;
  if (in[0]->type.is_float) {
    select(in[0]->reals, in[0]->type.shape, axis, last, out.ints);
  } else {
    select(in[0]->ints, in[0]->type.shape, axis, last, out.ints);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  std::map<std::string, Attr, std::less<>> attributes = {{"axis", node.integer("axis")},
                                                         {"keepdims", node.integer("keepdims", 1)}};
  if (node.integer("select_last", 0) != 0) attributes["select_last_index"] = int64_t{1};
  sink.node("", "ArgMax", {sink.input(0)}, {sink.output(0)}, std::move(attributes));
}

void lower(const Node& node, Lowering& lowering) {
  const Traced& operand = lowering.in(0);
  if (!operand.is_integer()) return lowering.keep("its operand is constant", "");
  const auto rank = static_cast<int64_t>(operand.shape.size());
  if (node.integer("axis") != rank - 1 || node.integer("select_last", 0) != 0) {
    return lowering.keep("it does not pick the first largest along the last axis",
                         "pick the largest along the channel axis");
  }
  lower_to_selection(lowering, 1, node.out[0].shape);
}

}  // namespace

extern const Op op_argmax;
const Op op_argmax{.name = "argmax",
                   .doc = "place of the largest along an axis; of equals the first",
                   .onnx = kOnnx,
                   .import = import,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .lower = lower};

}  // namespace foldstream
