// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/order.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"TopK"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 2);
  int64_t k = integer_attr(source, "k", -1);  // before operator set 10
  if (source.has(1)) {
    const std::vector<int64_t> given = integers_operand(source, 1, "k");
    if (given.size() != 1) throw Error("k is not one integer");
    k = given[0];
  }
  const int64_t axis =
      checked_axis(integer_attr(source, "axis", -1), source.in[0].type().shape.size());
  const bool values = source.uses(0);
  Node& node = graph.add(require_op("topk"), {source.in[0]}, source.name,
                         {{"k", k},
                          {"axis", axis},
                          {"largest", int64_t{integer_attr(source, "largest", 1) != 0}},
                          {"values", int64_t{values}}});
  return {values ? Value{&node, 1} : Value{}, {&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type values = node.in_type(0);
  const int64_t axis = node.integer("axis"), k = node.integer("k");
  if (axis < 0 || axis >= static_cast<int64_t>(values.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(values)));
  }
  if (values.count() == 0) throw Error("its operand is empty");
  if (k < 1 || k > values.shape[axis]) {
    throw Error(fmt::format("k is {}, expected 1 to {}", k, values.shape[axis]));
  }
  values.shape[axis] = k;
  std::vector<Type> types = {integer_type(64, true, values.shape)};
  if (node.integer("values", 0) != 0) types.push_back(values);
  return types;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->type.shape;
  const int64_t axis = node.integer("axis"), k = node.integer("k"), size = shape[axis];
  const bool largest = node.integer("largest", 1) != 0;
  std::vector<Tensor> out;
  for (const Type& type : node.out) out.push_back(make_zero(type));
  int64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  const int64_t outer = in[0]->count() / (inner * size);
  std::vector<int64_t> order(size);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const auto place = [&](int64_t at) { return (o * size + at) * inner + i; };
      const auto before = [&](const auto& values) {
        return [&, place](int64_t a, int64_t b) {
          const auto x = values[place(a)], y = values[place(b)];
          return x == y ? a < b : largest ? x > y : x < y;
        };
      };
      std::iota(order.begin(), order.end(), 0);
      if (in[0]->type.is_float) {
        std::partial_sort(order.begin(), order.begin() + k, order.end(), before(in[0]->reals));
      } else {
        std::partial_sort(order.begin(), order.begin() + k, order.end(), before(in[0]->ints));
      }
      for (int64_t r = 0; r < k; ++r) {
        const int64_t to = (o * k + r) * inner + i;
        out[0].ints[to] = order[r];
        if (out.size() < 2) continue;
        if (in[0]->type.is_float) {
          out[1].reals[to] = in[0]->reals[place(order[r])];
        } else {
          out[1].ints[to] = in[0]->ints[place(order[r])];
        }
      }
    }
  }
  return out;
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const bool values = node.integer("values", 0) != 0;
  Type unused = node.in_type(0);
  unused.shape = node.out[0].shape;
  const Tensor k = make_ints(integer_type(64, true, {1}), {node.integer("k")});
  sink.node("", "TopK", {sink.input(0), sink.index_constant(k, "k")},
            {values ? sink.output(1) : sink.temporary("values", unused), sink.output(0)},
            {{"axis", node.integer("axis")},
             {"largest", node.integer("largest", 1)},
             {"sorted", int64_t{1}}});
}

void lower(const Node& node, Lowering& lowering) {
  const Traced& operand = lowering.in(0);
  const auto rank = static_cast<int64_t>(operand.shape.size());
  if (!operand.is_integer()) return lowering.keep("its operand is constant", "");
  if (node.out.size() > 1) {
    return lowering.keep("its values are used, not only their places",
                         "use the indices alone, the scores are an output of their own");
  }
  if (node.integer("largest", 1) == 0 || node.integer("axis") != rank - 1) {
    return lowering.keep("it does not pick the largest along the last axis",
                         "pick the largest along the channel axis");
  }
  lower_to_selection(lowering, node.integer("k"), node.out[0].shape);
}

}  // namespace

extern const Op op_topk;
const Op op_topk{.name = "topk",
                 .doc = "places (and values) of the k largest; of equals the first comes first",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .lower = lower};

}  // namespace foldstream
