// SPDX-License-Identifier: Apache-2.0
#include "src/source/softmax.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/op.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {

std::vector<Value> import_softmax(std::string_view op, const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const Shape shape = source.in[0].type().shape;
  constexpr int64_t kOneAxis = 13;
  if (source.version >= kOneAxis) {
    const int64_t axis = checked_axis(integer_attr(source, "axis", -1), shape.size());
    return {{&graph.add(require_op(op), {source.in[0]}, source.name, {{"axis", axis}}), 0}};
  }
  const int64_t axis = checked_axis(integer_attr(source, "axis", 1), shape.size());
  const auto last = static_cast<int64_t>(shape.size()) - 1;
  if (axis == last) {
    return {{&graph.add(require_op(op), {source.in[0]}, source.name, {{"axis", axis}}), 0}};
  }
  const Shape flat = {element_count({shape.begin(), shape.begin() + axis}),
                      element_count({shape.begin() + axis, shape.end()})};
  const Op& reshape = require_op("reshape");
  Node& rows = graph.add(reshape, {source.in[0]}, source.name + "_rows", {{"shape", flat}});
  Node& node = graph.add(require_op(op), {{&rows, 0}}, source.name, {{"axis", int64_t{1}}});
  return {{&graph.add(reshape, {{&node, 0}}, source.name + "_shape", {{"shape", shape}}), 0}};
}

std::vector<Type> infer_softmax(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(node.in_type(0).shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(node.in_type(0))));
  }
  return {float_type(node.in_type(0).shape)};
}

std::vector<Tensor> eval_softmax(const Node& node, std::span<const Tensor* const> in,
                                 double (*result)(double shifted, double sum)) {
  const Shape& shape = in[0]->type.shape;
  const std::vector<double>& x = in[0]->reals;
  Tensor out = make_zero(float_type(shape));
  const int64_t axis = node.integer("axis"), size = shape[axis];
  int64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  const int64_t rows = out.count() == 0 ? 0 : out.count() / size;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t base = row / inner * size * inner + row % inner;
    double most = x[base], sum = 0;
    for (int64_t i = 1; i < size; ++i) most = std::max(most, x[base + i * inner]);
    for (int64_t i = 0; i < size; ++i) sum += std::exp(x[base + i * inner] - most);
    for (int64_t i = 0; i < size; ++i) {
      const double shifted = x[base + i * inner] - most;
      out.reals[base + i * inner] = static_cast<float>(result(shifted, sum));
    }
  }
  return {std::move(out)};
}

}  // namespace foldstream
