// SPDX-License-Identifier: Apache-2.0
// What the files of this operator share: its functions, and the factors of a sum.
#pragma once

#include <cstdint>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/ir/kernel.h"

namespace foldstream::eltwise {

enum class Function { add, sub, mul, max, min, equal, greater, greater_equal, less, less_equal };

// Throws Error on a function that isn't known.
Function function(const Node& node);
inline bool compares(Function function) { return function >= Function::equal; }

// Of operand `port`, for every channel or one for all; empty without the constants `factors`.
std::vector<int64_t> factors(const Node& node, size_t port);

Rhythm rhythm(const Node& node, Family family);
Cost cost(const Node& node, Family family);
Hardware emit(const Node& node, Family family, const std::string& instance);

extern const Kernels kernels;

}  // namespace foldstream::eltwise
