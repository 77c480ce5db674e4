// SPDX-License-Identifier: Apache-2.0
// Lets the memories of a folded graph's nodes share block memories.
#pragma once

#include <cstdint>
#include <string>

#include "src/boards/boards.h"
#include "src/fold/memory_packing.h"
#include "src/ir/graph.h"

namespace foldstream {

struct SharedMemories {
  int64_t memories = 0;      // that share
  int64_t ratio = 1;         // of the memory clock to the compute clock
  double blocks_alone = 0;   // of 18 Kbit, each memory by itself
  MemoryPacking packing;     // no banks when sharing saves nothing: the graph is as it was
  std::string text() const;  // one line
};

// Packs those memories of constants that would be in block memory, and sets the attributes of
// their nodes (memory.h, shared_memory.h). With a ratio above 1 words come a cycle later, so it
// goes before the queues are set. Throws Error for a ratio below 1 and for a part whose block
// memories can't be shared.
SharedMemories share_memories(Graph& core, const Part& part, int64_t ratio);

}  // namespace foldstream
