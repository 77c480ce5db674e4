// SPDX-License-Identifier: Apache-2.0
// Whether picking the largest of described values picks the largest of their integers.
#pragma once

#include <optional>
#include <string>

#include "src/ir/lowering.h"

namespace foldstream {

// Nothing when the reference's values, in every channel alike, rise strictly with the integers: the
// order of the integers, ties included, is the order of the values. Else the reason why not.
// Proved by trying every integer in range.
std::optional<std::string> order_obstacle(const Traced& traced);

}  // namespace foldstream
