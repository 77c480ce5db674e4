// SPDX-License-Identifier: Apache-2.0
// The walk over a tensor's elements that knows which of them are in a box.
#pragma once

#include <string>
#include <vector>

#include "src/ir/box.h"
#include "src/ir/hardware.h"
#include "src/rtl/sv_module.h"

namespace foldstream {

// One step for each element, in order: of one kind in the box, of another outside.
std::vector<Block> box_steps(const Box& box, const Phase& outside, const Phase& inside);

// Counters that move on with `advance`; gives the condition that the next element is in the box.
std::string add_box_walk(SvModule& module, const Box& box, const std::string& advance);
Cost box_walk_cost(const Box& box);

}  // namespace foldstream
