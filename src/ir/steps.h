// SPDX-License-Identifier: Apache-2.0
// Lists of steps put together for a rhythm.
#pragma once

#include <vector>

#include "src/ir/hardware.h"

namespace foldstream {

struct Node;

// Appends steps; equal ones, one after the other, stay one phase.
void add_steps(std::vector<Phase>& phases, const Phase& phase);

// A frame as rows, each of one of several kinds: kinds[order[0]], kinds[order[1]] ... Rows or short
// groups of rows that repeat become one block.
std::vector<Block> blocks_of_rows(const std::vector<std::vector<Phase>>& kinds,
                                  const std::vector<int>& order);

// The same frame several times.
std::vector<Block> repeated(const std::vector<Block>& frame, int64_t times);

// Depth and queue of a block with `stages` registers between issue and queue, whose steps are
// known: the queue from the attribute `queue` or the fewest beats with which no step waits for its
// credit.
void finish_steps(const Node& node, int64_t stages, Rhythm& rhythm);

}  // namespace foldstream
