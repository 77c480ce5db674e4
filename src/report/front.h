// SPDX-License-Identifier: Apache-2.0
// A picture of what a network can cost at each rate.
#pragma once

#include <string>
#include <vector>

#include "src/boards/boards.h"
#include "src/fold/fold.h"

namespace foldstream {

// Frames a second against the share of the part's LUT, BRAM and DSP that each folding takes, both
// by their logarithm: a page with the plot in SVG and the table, which needs nothing else to be
// seen.
std::string front_page(const std::string& name, const std::vector<FrontPoint>& front,
                       const Part& part, double clock_mhz);

}  // namespace foldstream
