// SPDX-License-Identifier: Apache-2.0
// Between folded nodes: width converters where neighbours differ in lanes, forks where a value has
// several users.
#pragma once

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// Works on a core graph whose folding is chosen; a second time it changes nothing. True if it added
// a node.
bool insert_stream_nodes(Graph& core);

// What a converter between streams of one value costs.
Cost converter_cost(const Type& type, int64_t lanes_in, int64_t lanes_out, Family family);
// What it costs to give a value, in beats of `lanes`, to several users.
Cost fork_cost(const Type& type, int64_t branches, int64_t lanes, Family family);

}  // namespace foldstream
