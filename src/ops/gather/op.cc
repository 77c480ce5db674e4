// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Gather"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 2);
  const Shape& shape = source.in[0].type().shape;
  const int64_t axis = checked_axis(integer_attr(source, "axis", 0), shape.size());
  if (axis == 0 && source.in[1].node->op->kind != Op::Kind::constant) {
    return {{&graph.add(require_op("embedding"), {source.in[1], source.in[0]}, source.name), 0}};
  }
  Tensor indices = constant_operand(source, 1, "the indices");
  for (int64_t& index : indices.ints) {
    if (index < 0) index += shape[axis];
  }
  Node& node = graph.add(require_op("gather"), {source.in[0]}, source.name, {{"axis", axis}},
                         {{"indices", std::move(indices)}});
  return {{&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const Tensor* indices = node.tensor("indices");
  const int64_t axis = node.integer("axis");
  if (indices == nullptr || indices->type.is_float || axis < 0 ||
      axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error("needs integers 'indices' along an axis of its operand");
  }
  for (const int64_t index : indices->ints) {
    if (index < 0 || index >= type.shape[axis]) {
      throw Error(fmt::format("index {} on axis {} of {}", index, axis, to_string(type)));
    }
  }
  const Shape& to = indices->type.shape;
  type.shape.erase(type.shape.begin() + axis);
  type.shape.insert(type.shape.begin() + axis, to.begin(), to.end());
  return {type};
}

template <class T>
void gather(const std::vector<T>& from, const Shape& shape, int64_t axis,
            const std::vector<int64_t>& indices, std::vector<T>& to) {
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  auto out = to.begin();
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      out = std::copy_n(from.begin() + (o * shape[axis] + index) * inner, inner, out);
    }
  }
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const std::vector<int64_t>& indices = node.tensor("indices")->ints;
  const Shape& shape = in[0]->type.shape;
  if (out.type.is_float) {
    gather(in[0]->reals, shape, node.integer("axis"), indices, out.reals);
  } else {
    gather(in[0]->ints, shape, node.integer("axis"), indices, out.ints);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Tensor indices = *node.tensor("indices");
  indices.type = integer_type(64, true, indices.type.shape);
  sink.node("", "Gather", {sink.input(0), sink.index_constant(indices, "indices")},
            {sink.output(0)}, {{"axis", node.integer("axis")}});
}

}  // namespace

extern const Op op_gather;
const Op op_gather{.name = "gather",
                   .doc = "constant places along an axis",
                   .onnx = kOnnx,
                   .import = import,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval};

}  // namespace foldstream
