// SPDX-License-Identifier: Apache-2.0
// Thresholds on words, sums of several streams say: as a matrix applies them to its sums.
#pragma once

#include <cstdint>
#include <memory>

#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"
#include "src/kernel/finish.h"

namespace foldstream::kernel {

// For operands in words whose channels lie along their vectors. Null when the result doesn't suit.
std::unique_ptr<Kernel> make_word_steps(const Operand& operand, const Thresholds& thresholds,
                                        const Storage& out);

struct WordStepsRoutine {
  int64_t lanes = 1;
  // Results of `count` vectors of finish.rows words, `stride` bytes apart.
  void (*run)(const Finish<int32_t>& finish, const int32_t* x, int64_t count, uint8_t* to,
              int64_t stride) = nullptr;
};

WordStepsRoutine word_steps_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
