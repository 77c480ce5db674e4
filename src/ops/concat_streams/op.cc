// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Before this axis everything is repeated, operand after operand.
int64_t outer(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin(), shape.begin() + node.integer("axis")));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() < 2 || node.in.size() > 32) {
    throw Error(fmt::format("takes 2 to 32 operands, found {}", node.in.size()));
  }
  const Type& first = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(first.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(first)));
  }
  Shape shape = first.shape;
  shape[axis] = 0;
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (size_t port = 0; port < node.in.size(); ++port) {
    const Type& type = node.in_type(port);
    Shape rest = type.shape;
    if (rest.size() == first.shape.size()) rest[axis] = first.shape[axis];
    if (type.is_float || rest != first.shape) {
      throw Error(fmt::format("operand {} is {}, it does not continue {} along axis {}", port,
                              to_string(type), to_string(first), axis));
    }
    shape[axis] += type.shape[axis];
    lo = std::min(lo, type.min()), hi = std::max(hi, type.max());
  }
  return {type_for_range(lo, hi, std::move(shape))};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  const int64_t times = outer(node);
  for (int64_t time = 0; time < times; ++time) {
    for (const Tensor* part : in) {
      const int64_t size = part->count() / times;
      to = std::copy_n(part->ints.begin() + time * size, size, to);
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  std::vector<std::string> operands;
  for (size_t port = 0; port < node.in.size(); ++port) operands.push_back(sink.input(port));
  sink.node("", "Concat", std::move(operands), {sink.output(0)}, {{"axis", node.integer("axis")}});
}

}  // namespace

extern const Op op_concat_streams;
const Op op_concat_streams{.name = "concat_streams",
                           .doc = "streams one after the other along an axis",
                           .kind = Op::Kind::hardware,
                           .to_onnx = to_onnx,
                           .infer = infer,
                           .eval = eval,
                           .finn_name = "StreamingConcat"};

}  // namespace foldstream
