// SPDX-License-Identifier: Apache-2.0
// Folding attributes: how many of something a block handles at once. Legal values divide.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "src/ir/hardware.h"

namespace foldstream {

struct Node;

std::vector<int64_t> divisors(int64_t count);  // ascending

// The value of a folding attribute, 1 when absent. Throws Error with the legal values unless it
// divides the `count` of `what` ("output channels").
int64_t folding(const Node& node, std::string_view attr, int64_t count, std::string_view what);

// A block that issues to a pipeline of `stages` registers with a queue behind it: fills depth and
// queue of the rhythm, from the attribute `queue` or for one beat given every `give_interval` steps
// at the full rate.
void finish_rhythm(const Node& node, int64_t stages, int64_t give_interval, Rhythm& rhythm);

// Queues deeper than this are block memory, which takes one cycle more.
inline constexpr int64_t kLutQueueDepth = 64;

}  // namespace foldstream
