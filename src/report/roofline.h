// SPDX-License-Identifier: Apache-2.0
// A roofline: how many multiplications a second a design does, and what would stop more of them
// (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009).
#pragma once

#include <string>
#include <vector>

namespace foldstream {

// A bound: of multiplications a second, or of bits a second over memory, which allow as many
// multiplications as there are for each bit.
struct Roof {
  std::string what;
  bool is_memory = false;
  double rate = 0;
  double at(double intensity) const { return is_memory ? rate * intensity : rate; }
};

struct Roofline {
  double intensity = 0;  // multiplications a bit that is moved over memory
  double achieved = 0;   // multiplications a second
  std::vector<Roof> roofs;
};

// As SVG, both axes logarithmic.
std::string roofline_svg(const Roofline& roofline);

}  // namespace foldstream
