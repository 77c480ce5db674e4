// SPDX-License-Identifier: Apache-2.0
// What the rows of a constant matrix have in common: two words that several rows add at the same
// distance are added once for all of them. Greedy, what saves most first, on signed digits
// (Potkonjak et al., IEEE TCAD 15(2), 1996; Hartley, IEEE TCAS-II 43(10), 1996), with what an adder
// of bits saves as the measure.
#pragma once

#include <vector>

namespace foldstream::arith {

// A row adds word << shift, or takes it off.
struct Digit {
  int word;
  int shift;
  bool negative;
  friend auto operator<=>(const Digit&, const Digit&) = default;
};

// A word: first << max(0, -shift), and second << max(0, shift) added, or its complement before the
// shift: of as many bits as it has.
struct SharedPair {
  int first, second;
  int shift;
  bool complement;
};

struct SharedPairs {
  std::vector<SharedPair> pairs;  // words behind those given, of words before them
  // Where a pair has a complement, what a row adds, or takes off, is more by the complement's
  // largest value than what it was given.
  std::vector<std::vector<Digit>> rows;
};

// `bits`: of each word that is given; a word's least value is 0. `levels`: how many additions deep
// a word may become, at least 1. In a row no word stands at one shift twice.
SharedPairs share_pairs(std::vector<std::vector<Digit>> rows, std::vector<int> bits, int levels);

}  // namespace foldstream::arith
