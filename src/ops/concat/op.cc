// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/joins.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Concat"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, source.in.size());
  for (size_t port = 0; port < source.in.size(); ++port) {
    if (!source.has(port)) throw Error(fmt::format("operand {} is missing", port));
  }
  const int64_t axis =
      checked_axis(integer_attr(source, "axis", 1), source.in[0].type().shape.size());
  return {{&graph.add(require_op("concat"), source.in, source.name, {{"axis", axis}}), 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.empty()) throw Error("takes at least one operand");
  Type type = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(type)));
  }
  for (size_t port = 1; port < node.in.size(); ++port) {
    Type other = node.in_type(port);
    if (other.shape.size() != type.shape.size()) other.shape = type.shape, other.shape[axis] = -1;
    const int64_t size = other.shape[axis];
    other.shape[axis] = type.shape[axis];
    if (other != type || size < 0) {
      throw Error(fmt::format("operand {} is {}, it does not continue {} along axis {}", port,
                              to_string(node.in_type(port)), to_string(node.in_type(0)), axis));
    }
    type.shape[axis] += size;
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const int64_t axis = node.integer("axis");
  int64_t outer = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= out.type.shape[d];
  const auto join = [&](auto member) {
    auto to = (out.*member).begin();
    for (int64_t o = 0; o < outer; ++o) {
      for (const Tensor* part : in) {
        const int64_t size = part->count() / outer;
        to = std::copy_n((part->*member).begin() + o * size, size, to);
      }
    }
  };
  if (out.type.is_float) {
    join(&Tensor::reals);
  } else {
    join(&Tensor::ints);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  std::vector<std::string> operands;
  for (size_t port = 0; port < node.in.size(); ++port) operands.push_back(sink.input(port));
  sink.node("", "Concat", std::move(operands), {sink.output(0)}, {{"axis", node.integer("axis")}});
}

void lower(const Node& node, Lowering& lowering) {
  lower_concat(lowering, static_cast<int>(node.integer("axis")));
}

}  // namespace

extern const Op op_concat;
const Op op_concat{.name = "concat",
                   .doc = "operands one after the other along an axis",
                   .onnx = kOnnx,
                   .import = import,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .lower = lower};

}  // namespace foldstream
