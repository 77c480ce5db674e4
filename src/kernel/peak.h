// SPDX-License-Identifier: Apache-2.0
// What one core of this machine multiplies at most: the instructions of a kernel's innermost loop
// on registers alone.
#pragma once

#include <string>

#include "src/ir/kernel.h"

namespace foldstream::kernel {

// Products a second, measured for a millisecond of processor time. 0 for no multiplier.
double peak_products(Multiplier multiplier, const std::string& level);

}  // namespace foldstream::kernel
