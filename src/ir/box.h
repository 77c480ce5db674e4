// SPDX-License-Identifier: Apache-2.0
// A box of a tensor: in each axis the places from `begin` up to, not including, `end`.
#pragma once

#include <cstdint>
#include <vector>

#include "src/ir/type.h"

namespace foldstream {

struct Box {
  Shape frame;  // of the tensor it lies in
  std::vector<int64_t> begin, end;
};

Shape box_shape(const Box& box);

// Offsets in the tensor of the first elements of the box's rows, which are runs along the last
// axis.
std::vector<int64_t> box_rows(const Box& box);

}  // namespace foldstream
