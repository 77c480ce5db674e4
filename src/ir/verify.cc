// SPDX-License-Identifier: Apache-2.0
#include "src/ir/verify.h"

#include <fmt/format.h>

#include <set>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {

void verify(const Graph& graph) {
  std::set<const Node*> seen;
  std::set<std::string> inputs, outputs;
  const auto check_value = [&](const Value& value, const std::string& where) {
    if (!seen.contains(value.node)) {
      throw Error(fmt::format("{}: an operand is not the result of an earlier node", where));
    }
    if (value.port < 0 || value.port >= static_cast<int>(value.node->out.size())) {
      throw Error(fmt::format("{}: {} has no result {}", where, describe(*value.node), value.port));
    }
  };
  for (const Node& node : graph.nodes) {
    FOLDSTREAM_CHECK(node.op != nullptr);
    for (const Value& value : node.in) check_value(value, describe(node));
    if (inferred_types(node) != node.out) {
      throw Error(
          fmt::format("{}: its stored type is not the one its operands give", describe(node)));
    }
    if (node.op->kind == Op::Kind::input && !inputs.insert(node.name).second) {
      throw Error(fmt::format("two graph inputs are called '{}'", node.name));
    }
    seen.insert(&node);
  }
  for (const Output& output : graph.outputs) {
    check_value(output.value, fmt::format("graph output '{}'", output.name));
    if (!outputs.insert(output.name).second) {
      throw Error(fmt::format("two graph outputs are called '{}'", output.name));
    }
  }
}

}  // namespace foldstream
