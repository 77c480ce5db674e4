// SPDX-License-Identifier: Apache-2.0
// Constants of a design that can be written while it runs: which nodes have them, and how one of
// them is replaced.
#pragma once

#include <string>
#include <vector>

#include "src/flow/compile.h"
#include "src/ir/hardware.h"

namespace foldstream {

// Makes the memories of nodes writable. A choice is "all", a node's own name or FINN's for it, or
// either with an integer type for its weights that holds those there are: "fc1:s4". Throws Error on
// any other choice.
void make_writable(Parts& parts, const std::vector<std::string>& choices, Family family);

// Infers the types of the core and of what the tail takes from it again: what follows a writable
// node must take whatever any constants of its types give.
void settle_types(Parts& parts);

bool any_writable(const Graph& core);

// Replaces constants of writable nodes: "fc1.w" by a tensor of its shape. Values that the node's
// memory doesn't hold, like a name that isn't there, throw Error. Gives the node's own name.
std::string write_constant(Graph& core, const std::string& name, const std::vector<int64_t>& shape,
                           std::vector<int64_t> values, Family family);

}  // namespace foldstream
