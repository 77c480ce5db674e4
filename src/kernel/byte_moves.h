// SPDX-License-Identifier: Apache-2.0
// Bytes put elsewhere, or what a table has for them, many at a time.
#pragma once

#include <cstdint>

namespace foldstream::kernel {

struct ByteMovesRoutine {
  // to[i] = table[from[i]]; a table of 256.
  void (*look_up)(const uint8_t* table, const uint8_t* from, int64_t count, uint8_t* to) = nullptr;
  // to[i * planes + p] = from[p * step + i] for i below `count`; 2 to 4 planes.
  void (*interleave)(const uint8_t* from, int64_t step, int64_t planes, int64_t count,
                     uint8_t* to) = nullptr;
};

ByteMovesRoutine byte_moves_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
