// SPDX-License-Identifier: Apache-2.0
#include "src/fold/finn_names.h"

#include <fmt/format.h>

#include <map>

#include "src/ir/op.h"

namespace foldstream {

std::string finn_type(const Node& node) {
  return std::string(node.op->finn_name.empty() ? node.op->name : node.op->finn_name);
}

std::vector<std::pair<std::string, const Node*>> finn_names(const Graph& graph) {
  std::map<std::string, int> count;
  std::vector<std::pair<std::string, const Node*>> names;
  for (const Node& node : graph.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    const std::string type = finn_type(node);
    names.emplace_back(fmt::format("{}_rtl_{}", type, count[type]++), &node);
  }
  return names;
}

}  // namespace foldstream
