// SPDX-License-Identifier: Apache-2.0
// Copies of rectangular regions between tensors.
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

}  // namespace foldstream
