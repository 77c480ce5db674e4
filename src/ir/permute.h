// SPDX-License-Identifier: Apache-2.0
// Axes in another order: dimension d of the result is dimension perm[d] of the operand.
#pragma once

#include <cstdint>
#include <vector>

#include "src/ir/type.h"

namespace foldstream {

// The result's shape; throws Error unless `perm` is an order of the axes.
Shape permuted_shape(const Shape& from, const std::vector<int64_t>& perm);

// For each element of the result, the offset of its source.
std::vector<int64_t> permuted_offsets(const Shape& from, const std::vector<int64_t>& perm);

Tensor permuted(const Tensor& in, const std::vector<int64_t>& perm);

}  // namespace foldstream
