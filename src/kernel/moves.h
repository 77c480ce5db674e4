// SPDX-License-Identifier: Apache-2.0
// Operators whose results are elements of their operands, wherever they lie, or one integer.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "src/ir/kernel.h"

namespace foldstream::kernel {

// Where each element comes from is found by the operator's meaning, on operands whose elements are
// numbered. Null for floats, and where forms differ or vectors of bits or trits aren't moved whole.
std::unique_ptr<Kernel> make_moves(const KernelSite& site);

// `wants` of such an operator: the form of its result.
Form moves_operand(const Node& node, size_t port, const Range& operand, Form result);

}  // namespace foldstream::kernel
