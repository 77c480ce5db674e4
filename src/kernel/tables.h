// SPDX-License-Identifier: Apache-2.0
// Functions of one or two elements of few values, tabulated.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/ir/kernel.h"

namespace foldstream::kernel {

// Of operand elements in bytes: table[c * 256 + byte] for element c of a vector, or one table of
// 256 for all.
std::unique_ptr<Kernel> make_table(const Storage& in, const std::vector<int64_t>& table,
                                   const Storage& out);

// Of two operands in bytes: table[a * second_count + b] for the bytes a and b.
std::unique_ptr<Kernel> make_pair_table(int64_t second_count, const std::vector<int64_t>& table,
                                        const Storage& out);

}  // namespace foldstream::kernel
