// SPDX-License-Identifier: Apache-2.0
// Products of bytes by tiles (AMX): 16 rows of 64 bytes times 16 columns of 64 in one instruction.
#pragma once

#include <cstdint>

namespace foldstream::kernel {

constexpr int64_t kTileVectors = 16;  // that fill a tile

// Whether this machine has them and the system lets this process use them; asked once.
bool has_tiles();
// Whether kernels made now may use them (level.h).
bool tiles_in_force();

// Takes them out of force for its lifetime.
class WithoutTiles {
 public:
  WithoutTiles();
  ~WithoutTiles();
  WithoutTiles(const WithoutTiles&) = delete;
  WithoutTiles& operator=(const WithoutTiles&) = delete;
};

}  // namespace foldstream::kernel
