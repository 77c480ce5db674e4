// SPDX-License-Identifier: Apache-2.0
// Names close to one that doesn't exist, for error messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foldstream {

// At most `count` of `names`, the closest first (case does not count); names that share nothing
// with `wanted` are left out.
std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names, size_t count = 3);

// "did you mean 'a' or 'b'?", or "known are a, b, c" when nothing is close.
std::string did_you_mean(std::string_view wanted, const std::vector<std::string>& names);

}  // namespace foldstream
