// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/box_walk.h"

#include <fmt/format.h>

#include "src/ir/steps.h"
#include "src/rtl/block.h"
#include "src/rtl/walk.h"

namespace foldstream {

std::vector<Block> box_steps(const Box& box, const Phase& outside, const Phase& inside) {
  const auto some = [](Phase phase, int64_t steps) {
    phase.steps = steps;
    return phase;
  };
  const int64_t length = box.frame.back(), begin = box.begin.back(), end = box.end.back();
  std::vector<std::vector<Phase>> kinds(2);
  add_steps(kinds[0], some(outside, length));
  add_steps(kinds[1], some(outside, begin));
  add_steps(kinds[1], some(inside, end - begin));
  add_steps(kinds[1], some(outside, length - end));
  std::vector<int> order;
  for (const bool touched : rows_touched(box)) order.push_back(touched ? 1 : 0);
  return blocks_of_rows(kinds, order);
}

std::string add_box_walk(SvModule& module, const Box& box, const std::string& advance) {
  std::vector<Walk::Loop> loops;
  for (size_t d = 0; d < box.frame.size(); ++d) {
    loops.push_back({fmt::format("axis_{}", d), box.frame[d]});
  }
  const Walk walk(module, loops, advance);
  std::vector<std::string> within;
  for (size_t d = 0; d < box.frame.size(); ++d) {
    within.push_back(walk.within(d, box.begin[d], box.end[d]));
  }
  return all_of(within);
}

Cost box_walk_cost(const Box& box) {
  Cost cost;
  for (const int64_t size : box.frame) {
    // Neighbouring bits of a counter and of its comparisons share tables; unless it wraps by itself
    // there is one comparison more.
    const double bits = counter_cost(size).ff;
    cost.lut += (size & (size - 1)) == 0 ? 0.7 * bits : 1.2 * bits;
    cost.ff += bits;
  }
  cost.lut += 1.5;
  return cost;
}

}  // namespace foldstream
