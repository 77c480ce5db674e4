// SPDX-License-Identifier: Apache-2.0
// Thresholds on bytes: compared with all of a channel's, many channels at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "src/ir/kernel.h"
#include "src/ir/thresholds.h"

namespace foldstream::kernel {

// For operands in bytes whose channels, at least 16, lie along their vectors, and at most 16
// levels. Null when operand, thresholds or result don't suit.
std::unique_ptr<Kernel> make_byte_steps(const Operand& operand, const Thresholds& thresholds,
                                        const Storage& out);

struct ByteStepsRoutine {
  // y[c] = number of the levels i with x[c] >= t[i * count + c].
  void (*run)(const uint8_t* x, const uint8_t* t, int64_t levels, int64_t count,
              uint8_t* y) = nullptr;
};

ByteStepsRoutine byte_steps_routine();  // for the instruction set in force

}  // namespace foldstream::kernel
