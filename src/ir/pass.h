// SPDX-License-Identifier: Apache-2.0
// A pass: one rewrite of the graph, in one file of src/passes/.
#pragma once

#include <span>
#include <string_view>

#include "src/ir/graph.h"

namespace foldstream {

struct Pass {
  std::string_view name;  // "fold-constants"
  std::string_view doc;
  bool (*run)(Graph& graph);  // true if it changed something
};

std::span<const Pass* const> passes();
const Pass* find_pass(std::string_view name);

// Runs the pass and then the verifier.
bool run_pass(const Pass& pass, Graph& graph);

}  // namespace foldstream
