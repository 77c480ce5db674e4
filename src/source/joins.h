// SPDX-License-Identifier: Apache-2.0
// Lowering of what joins or divides computed values.
#pragma once

#include <vector>

#include "src/ir/lowering.h"

namespace foldstream {

// operand 0 + sign * operand 1, both computed and of one shape.
void lower_sum(Lowering& lowering, int64_t sign);
// The product of two computed values of one shape.
void lower_product(Lowering& lowering);
// The greater ("max") or lesser ("min") of two computed values of one shape.
void lower_extreme(Lowering& lowering, const std::string& function);
// Every operand, one after the other along an axis.
void lower_concat(Lowering& lowering, int axis);
// Operand 0 cut along an axis into results of these sizes.
void lower_split(Lowering& lowering, int axis, const std::vector<int64_t>& sizes);

}  // namespace foldstream
