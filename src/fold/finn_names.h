// SPDX-License-Identifier: Apache-2.0
// The names by which FINN's files call the nodes of a graph.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// FINN's name of the operator, or its own.
std::string finn_type(const Node& node);

// Every hardware node in order: "MVAU_rtl_0", "MVAU_rtl_1", ... counted by type.
std::vector<std::pair<std::string, const Node*>> finn_names(const Graph& graph);

}  // namespace foldstream
