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

// Where a tensor of that shape lies in what `pad` elements before each of its axes, then after
// each, make of it.
Box padded_box(const Shape& shape, const std::vector<int64_t>& pad);

// Offsets in the tensor of the first elements of the box's rows, which are runs along the last
// axis.
std::vector<int64_t> box_rows(const Box& box);

// The same box of a tensor whose last axis is counted in runs of `run` elements, which divide its
// bounds, and where axes that the box fills are one with the axis before them.
Box coarser(const Box& box, int64_t run);

// Of the tensor's rows along the last axis, in order: does the box have a part of this one.
std::vector<bool> rows_touched(const Box& box);

}  // namespace foldstream
