// SPDX-License-Identifier: Apache-2.0
// Products of bytes by tiles (tiles.h), for both who need some: constant matrices and training.
#pragma once

#include <cstdint>

#include "src/kernel/byte_dot.h"
#include "src/kernel/byte_sums.h"

namespace foldstream::kernel {

ByteRoutine tile_routine();
// Of scratch for each vector.
int64_t staged_bytes(const ByteMatrix& matrix);

void byte_sums_by_tiles(const ByteSums& sums);

// Multiplies on tiles alone, for measuring (peak.h); how many products that were.
double tile_products(int64_t rounds);

}  // namespace foldstream::kernel
