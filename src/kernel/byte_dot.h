// SPDX-License-Identifier: Apache-2.0
// Sums of products of weights of up to 8 bits and operands stored as bytes, exact in int32.
#pragma once

#include <cstdint>
#include <vector>

#include "src/kernel/aligned.h"
#include "src/kernel/finish.h"

namespace foldstream::kernel {

struct ByteRun {
  int64_t offset = 0, bytes = 0;
};

struct ByteMatrix {
  // Of four neighbouring bytes each, from the vector's address. Those behind the columns that are
  // neighbours are multiplied with zeros.
  std::vector<int64_t> quads;
  std::vector<ByteRun> runs;  // the same, neighbours together
  // No product of two neighbours' sum leaves int16: quicker where no instruction adds up four.
  bool small = false;
  AlignedVector<int8_t> weights;  // for each tile of rows, quad after quad: four bytes a row
  int64_t tiles = 0;
  Finish<int32_t> finish;
};

struct ByteRoutine {
  int64_t lanes = 1, blocks = 1;  // a tile is so many blocks of so many rows
  int64_t quads = 1;              // a matrix has a multiple of so many
  int64_t vectors = 0;            // whose bytes `scratch` has room for
  using Run = void (*)(const ByteMatrix& matrix, const uint8_t* const* vectors,
                       uint8_t* const* outs, int64_t count, int64_t first, int64_t last,
                       uint8_t* scratch);
  // Tiles first .. last - 1 of the rows for `count` vectors. `outs` are the results' vectors.
  Run run = nullptr;
};

ByteRoutine byte_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
