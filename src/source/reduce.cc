// SPDX-License-Identifier: Apache-2.0
#include "src/source/reduce.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/op.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

bool reduces(const Shape& axes, size_t axis) {
  return std::find(axes.begin(), axes.end(), static_cast<int64_t>(axis)) != axes.end();
}

}  // namespace

std::vector<Value> import_reduction(std::string_view op, const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 2);
  const size_t rank = source.in[0].type().shape.size();
  Shape axes;
  if (const std::vector<int64_t>* attr = integers_attr(source, "axes")) {
    axes = *attr;
  } else if (source.has(1)) {
    axes = integers_operand(source, 1, "the axes");
  }
  if (axes.empty() && integer_attr(source, "noop_with_empty_axes", 0) != 0) return {source.in[0]};
  for (int64_t& axis : axes) axis = checked_axis(axis, rank);
  if (axes.empty()) {
    for (size_t d = 0; d < rank; ++d) axes.push_back(static_cast<int64_t>(d));
  }
  if (axes.empty()) return {source.in[0]};
  std::sort(axes.begin(), axes.end());
  return {{&graph.add(
               require_op(op), {source.in[0]}, source.name,
               {{"axes", axes}, {"keepdims", int64_t{integer_attr(source, "keepdims", 1) != 0}}}),
           0}};
}

std::vector<Type> infer_reduction(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Shape& from = node.in_type(0).shape;
  const Shape axes = node.integers("axes", {});
  bool legal =
      !axes.empty() && axes.front() >= 0 && axes.back() < static_cast<int64_t>(from.size());
  for (size_t i = 1; i < axes.size(); ++i) legal = legal && axes[i] > axes[i - 1];
  if (!legal) {
    throw Error(fmt::format("its axes are {}, expected different axes of {} in order",
                            to_string(axes), to_string(node.in_type(0))));
  }
  Shape shape;
  for (size_t d = 0; d < from.size(); ++d) {
    const bool gone = reduces(axes, d);
    if (gone && from[d] == 0) {
      throw Error(fmt::format("axis {} of {} is empty", d, to_string(node.in_type(0))));
    }
    if (!gone) shape.push_back(from[d]);
    if (gone && node.integer("keepdims", 1) != 0) shape.push_back(1);
  }
  return {float_type(std::move(shape))};
}

int64_t reduced_elements(const Node& node) {
  int64_t count = 1;
  for (const int64_t axis : node.integers("axes", {})) count *= node.in_type(0).shape[axis];
  return count;
}

Tensor reduce(const Node& node, const Tensor& in, double start, double (*f)(double, double)) {
  const Shape& shape = in.type.shape;
  const Shape axes = node.integers("axes", {});
  Tensor out = make_zero(node.out[0]);
  std::fill(out.reals.begin(), out.reals.end(), start);
  // How far a step along each axis moves in the result.
  Shape stride(shape.size(), 0), index(shape.size(), 0);
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    if (reduces(axes, d)) continue;
    stride[d] = step;
    step *= shape[d];
  }
  int64_t to = 0;
  for (const double x : in.reals) {
    out.reals[to] = f(out.reals[to], x);
    for (size_t d = shape.size(); d-- > 0;) {
      to += stride[d];
      if (++index[d] < shape[d]) break;
      to -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return out;
}

void reduction_to_onnx(const Node& node, OnnxSink& sink, std::string_view type) {
  const Shape axes = node.integers("axes", {});
  std::map<std::string, Attr, std::less<>> attr = {{"keepdims", node.integer("keepdims", 1)}};
  std::vector<std::string> operands = {sink.input(0)};
  // The axes of a sum are an operand since operator set 13, those of the others since 18.
  if (type == "ReduceSum") {
    const auto count = static_cast<int64_t>(axes.size());
    operands.push_back(
        sink.index_constant(make_ints(integer_type(64, true, {count}), axes), "axes"));
  } else {
    attr["axes"] = axes;
  }
  sink.node("", type, std::move(operands), {sink.output(0)}, std::move(attr));
}

}  // namespace foldstream
