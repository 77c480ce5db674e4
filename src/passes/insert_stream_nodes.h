// SPDX-License-Identifier: Apache-2.0
// Between folded nodes: width converters where neighbours differ in lanes, forks where a value has
// several users.
#pragma once

#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// Works on a core graph whose folding is chosen; a second time it changes nothing. True if it added
// a node.
bool insert_stream_nodes(Graph& core);

// Room for so many beats in front of an operand of a hardware node: a node of its own. Works on a
// graph that has its stream nodes; its nodes are made anew, under their names.
struct FifoPlace {
  const Node* user = nullptr;
  size_t port = 0;
  int64_t beats = 1;
};
void insert_fifos(Graph& core, const std::vector<FifoPlace>& places);

// What a converter between streams of one value costs.
Cost converter_cost(const Type& type, int64_t lanes_in, int64_t lanes_out, Family family);
// What it costs to give a value, in beats of `lanes`, to several users.
Cost fork_cost(const Type& type, int64_t branches, int64_t lanes, Family family);
// When they take and give.
Rhythm converter_rhythm(const Type& type, int64_t lanes_in, int64_t lanes_out, Family family);
Rhythm fork_rhythm(const Type& type, int64_t branches, int64_t lanes, Family family);

}  // namespace foldstream
