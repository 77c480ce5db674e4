// SPDX-License-Identifier: Apache-2.0
// Lowering of what moves, repeats or drops elements of operand 0 and computes nothing.
#pragma once

#include <vector>

#include "src/ir/lowering.h"

namespace foldstream {

// Zeros around: `pad` has the counts before each axis, then those after each.
void lower_zero_pad(Lowering& lowering, const std::vector<int64_t>& pad);
// The box from `begin` up to but without `end`, by axis.
void lower_crop(Lowering& lowering, const std::vector<int64_t>& begin,
                const std::vector<int64_t>& end);
// Each element repeated `scale` times along each axis.
void lower_upsample(Lowering& lowering, const std::vector<int64_t>& scale);
// The elements seen as a tensor of shape `split`, its axes in the order `perm`, and that seen as a
// tensor of the result's shape; an axis of operand 0 is the product of neighbours in `split`. The
// operand's vectors must not vary along an axis that is taken apart or put together.
void lower_rearrangement(Lowering& lowering, const Shape& split, const std::vector<int>& perm);

}  // namespace foldstream
