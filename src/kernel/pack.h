// SPDX-License-Identifier: Apache-2.0
// Bytes into bits and trits.
#pragma once

#include <cstdint>

namespace foldstream::kernel {

struct PackRoutine {
  // Bit i of the words: bytes[i] >= first. Bits behind the last byte are 0.
  void (*bits)(const uint8_t* bytes, int64_t count, uint8_t first, uint64_t* words) = nullptr;
  // Bytes 0 to 2 as trits: for 64 of them a word "is not 1", then a word "is 0".
  void (*trits)(const uint8_t* bytes, int64_t count, uint64_t* words) = nullptr;
};

PackRoutine pack_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
