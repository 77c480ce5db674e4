// SPDX-License-Identifier: Apache-2.0
// Several pixels a clock: in memory a frame [N, H, W, C] is also [N, H, W/P, P*C], positions of P
// neighbouring pixels each. A layer rewritten into that view takes and gives P pixels in a beat;
// the views around it cost nothing.
#pragma once

#include <string>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

// Pixels of a position of a node's operand and of its result.
struct PixelGroups {
  int64_t in = 1, out = 1;
};

// Rewrites every node of an unfolded core that takes more than `cycles` steps a frame in any
// folding: with the fewest pixels that reach them, or, where none do, those that come closest. True
// if it changed something; then the attribute `pixels` of what took a node's name is [in, out].
bool group_pixels(Graph& core, int64_t cycles, Family family);

// The same for one node as asked, by its name. Throws Error where it can't be rewritten so.
void group_pixels(Graph& core, const std::string& name, const PixelGroups& groups);

}  // namespace foldstream
