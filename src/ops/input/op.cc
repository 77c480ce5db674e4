// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  if (!node.in.empty()) throw Error("a graph input has no operands");
  Type type = parse_element(node.text("type", "f32"));
  type.shape = node.integers("shape", {});
  for (int64_t dim : type.shape) {
    if (dim < 1)
      throw Error("dimension " + std::to_string(dim) + " of a graph input is not positive");
  }
  return {type};
}

}  // namespace

extern const Op op_input;
const Op op_input{.name = "input",
                  .doc = "a graph input of element type `type` and shape `shape`",
                  .kind = Op::Kind::input,
                  .infer = infer};

}  // namespace foldstream
