// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  const Tensor* value = node.tensor("value");
  if (!node.in.empty() || value == nullptr)
    throw Error("a constant has no operands and one tensor 'value'");
  return {value->type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const>) {
  return {*node.tensor("value")};
}

}  // namespace

extern const Op op_constant;
const Op op_constant{.name = "constant",
                     .doc = "a tensor known at compile time",
                     .kind = Op::Kind::constant,
                     .infer = infer,
                     .eval = eval};

}  // namespace foldstream
