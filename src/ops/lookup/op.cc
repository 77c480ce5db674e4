// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

const Tensor& table(const Node& node) { return *node.tensor("table"); }
int64_t entries(const Node& node) { return table(node).type.shape[0]; }
int64_t width(const Node& node) { return table(node).type.shape[1]; }

std::vector<Type> infer(const Node& node) {
  constexpr int kMostBits = 32;
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).is_signed ||
      node.in_type(0).bits > kMostBits) {
    throw Error("takes one operand of indices, integers u1 to u32");
  }
  const Tensor* rows = node.tensor("table");
  if (rows == nullptr || rows->type.is_float || rows->type.shape.size() != 2 ||
      rows->count() == 0) {
    throw Error("needs integers 'table' [entries, width]");
  }
  Type type = rows->type;
  type.shape = node.in_type(0).shape;
  type.shape.push_back(width(node));
  if (!checked_element_count(type.shape)) {
    throw Error(fmt::format("gives {}, more than can be held", to_string(type)));
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  for (const int64_t index : in[0]->ints) {
    const int64_t row = std::min(index, entries(node) - 1);
    to = std::copy_n(table(node).ints.begin() + row * width(node), width(node), to);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Type type = node.in_type(0);
  std::string index = sink.input(0);
  if (type.max() >= entries(node)) {
    const std::string last = sink.constant(make_ints(Shape{}, {entries(node) - 1}), "last");
    const std::string clipped = sink.temporary("clipped", float_type(type.shape));
    sink.node("", "Min", {index, last}, {clipped});
    index = clipped;
  }
  const std::string row = sink.temporary("row", integer_type(64, true, type.shape));
  sink.node("", "Cast", {index}, {row}, {{"to", int64_t{7}}});
  sink.node("", "Gather", {sink.constant(table(node), "table"), row}, {sink.output(0)},
            {{"axis", int64_t{0}}});
}

}  // namespace

extern const Op op_lookup;
const Op op_lookup{.name = "lookup",
                   .doc = "rows of a table, by their indices",
                   .kind = Op::Kind::hardware,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .finn_name = "Lookup"};

}  // namespace foldstream
