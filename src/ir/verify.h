// SPDX-License-Identifier: Apache-2.0
// What every graph must satisfy between passes.
#pragma once

#include "src/ir/graph.h"

namespace foldstream {

// Throws Error naming the node when: an operand is not an earlier node's result; a node's stored
// types aren't what its op infers; an output doesn't exist; two outputs or two inputs share a name.
void verify(const Graph& graph);

}  // namespace foldstream
