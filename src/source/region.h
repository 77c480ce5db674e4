// SPDX-License-Identifier: Apache-2.0
// Copies of rectangular regions between tensors, and of tensors in another order of axes.
#pragma once

#include "src/ir/type.h"

namespace foldstream {

// Where elements lie along each axis: begin, begin + step ... Steps may be negative.
struct Region {
  Shape begin, step;
};

// Copies `size` elements along each axis. Both tensors have one element type, and the regions lie
// in them.
void copy_region(const Tensor& source, const Region& from, const Shape& size, Tensor& target,
                 const Region& to);

// Every element; dimension d of the target is dimension perm[d] of the source.
void copy_permuted(const Tensor& source, const Shape& perm, Tensor& target);

}  // namespace foldstream
