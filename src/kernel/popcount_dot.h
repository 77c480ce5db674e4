// SPDX-License-Identifier: Apache-2.0
// Sums of products of few-valued weights and operands, 64 at a time: an exclusive or tells where
// signs agree, a count of bits how often. With u the operand's sign and w the weight's, and a mask
// of the places where both are not zero,
//
//   sum over i of w[i] * u[i]  =  count(mask & ~(u ^ w)) - count(mask & (u ^ w))
//
// Operands in bits are their own sign (0 counts as -1), those in trits have zeros. Where zeros are
// on one side only, the mask's count is a constant of the row or one of the vector, and one count
// of a word is enough. Where they are on both sides, the second mask is turned over, and both
// counts are of two bits at every place; where there are none, so are those of two words. Then
// carries are saved (products-inl.h): one count for two bits.
#pragma once

#include <cstdint>
#include <vector>

#include "src/kernel/aligned.h"
#include "src/kernel/finish.h"

namespace foldstream::kernel {

// Neighbouring words of an operand, counted in 64-bit words from the vector's address; a word of
// trits counts for two.
struct WordRun {
  int64_t offset = 0, words = 0;  // `words`: of 64 elements
};

struct PopcountMatrix {
  bool zero_weights = false;   // weights 0 occur
  bool zero_operands = false;  // the operand comes in trits
  std::vector<WordRun> runs;
  int64_t words = 0;  // of all runs
  // For each tile of rows, word after word: one word a row of signs (1: -1), then, with
  // zero_weights, one a row of the places that are not zero. With zeros on both sides a sign's 1 is
  // +1. With none, behind the first word of an odd number, the second of each two words is where
  // it differs from the first.
  AlignedVector<uint64_t> weights;
  int64_t tiles = 0;
  Finish<int64_t> finish;
};

struct PopcountRoutine {
  using Run = void (*)(const PopcountMatrix& matrix, const uint64_t* const* vectors,
                       uint8_t* const* outs, int64_t count, int64_t first, int64_t last,
                       uint64_t* staged);
  int64_t lanes = 1, blocks = 1;  // a tile is so many blocks of so many rows ...
  int64_t vectors = 1;            // ... times so many vectors
  // Tiles first .. last - 1 of the rows for `count` vectors. `outs` are the results' vectors,
  // `staged` is room for a tile's vectors.
  Run run = nullptr;
};

// For the instruction set in force.
PopcountRoutine popcount_routine(bool zero_weights, bool zero_operands);

}  // namespace foldstream::kernel
