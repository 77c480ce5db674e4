// SPDX-License-Identifier: Apache-2.0
// Changes that are good each by itself, and maybe not all together.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace foldstream {

// By change, whether it is made.
using Made = std::vector<bool>;

// Undoes changes, later ones rather than earlier ones, until the rest are good together. `holds`
// says whether some of them are; none where it can't afford to tell, and then all are undone that
// aren't known to be good with those before them. Less of what holds must hold, too. Asks about
// twice the logarithm of `count` for each change that is undone.
Made compatible(size_t count, const std::function<std::optional<bool>(const Made&)>& holds);

}  // namespace foldstream
