// SPDX-License-Identifier: Apache-2.0
// The text form of a graph; print and parse are exact inverses (docs/ir.md is its specification).
#pragma once

#include <string>
#include <string_view>

#include "src/ir/graph.h"

namespace foldstream {

std::string print(const Graph& graph);

// Throws Error with the line and what was expected. The result satisfies the verifier.
Graph parse(std::string_view text);

}  // namespace foldstream
