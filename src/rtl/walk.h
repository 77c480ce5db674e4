// SPDX-License-Identifier: Apache-2.0
// Nested counters: the place of a block's next step in a frame.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/rtl/sv_module.h"

namespace foldstream {

class Walk {
 public:
  struct Loop {
    std::string name;
    int64_t count = 1;
  };

  // Counters `name`_q of the loops, the outermost first, that move on with `advance`; loops of one
  // have none.
  Walk(SvModule& module, std::vector<Loop> loops, const std::string& advance);

  // Conditions on the place, as expressions; loops by their index. Those that always or never hold
  // are 1'b1 and 1'b0.
  std::string at(size_t loop, int64_t place) const;
  std::string from(size_t loop, int64_t place) const;   // at this place or behind it
  std::string below(size_t loop, int64_t place) const;  // before it
  std::string within(size_t loop, int64_t begin, int64_t end) const;
  std::string last(size_t loop) const;

 private:
  std::string compare(size_t loop, const char* relation, int64_t place) const;

  std::vector<Loop> loops_;
  std::vector<std::string> last_;
};

// Conjunction and disjunction of conditions, with those that are constant left out.
std::string all_of(const std::vector<std::string>& conditions);
std::string any_of(const std::vector<std::string>& conditions);

}  // namespace foldstream
