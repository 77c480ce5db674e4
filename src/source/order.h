// SPDX-License-Identifier: Apache-2.0
// Picking the largest of described values by comparing integers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/ir/lowering.h"

namespace foldstream {

struct Order {
  // What is added to the integers of each channel so that their order, ties included, is the order
  // of the values; empty when nothing needs to be added.
  std::vector<int64_t> shift;
  std::string obstacle;  // when there is no such order: why
};

// Proved by computing the reference's value for every integer in range.
Order order_of(const Lowering& lowering, size_t port);

// Adds the nodes that pick the k largest along the last axis of operand 0 and sets result 0 to
// their places; keeps the node, saying why, when integers don't tell.
void lower_to_selection(Lowering& lowering, int64_t k, const Shape& result_shape);

}  // namespace foldstream
