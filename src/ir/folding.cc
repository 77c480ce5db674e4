// SPDX-License-Identifier: Apache-2.0
#include "src/ir/folding.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/ir/graph.h"
#include "src/util/error.h"

namespace foldstream {

std::vector<int64_t> divisors(int64_t count) {
  std::vector<int64_t> low, high;
  for (int64_t d = 1; d * d <= count; ++d) {
    if (count % d != 0) continue;
    low.push_back(d);
    if (d * d != count) high.push_back(count / d);
  }
  low.insert(low.end(), high.rbegin(), high.rend());
  return low;
}

int64_t folding(const Node& node, std::string_view attr, int64_t count, std::string_view what) {
  const int64_t value = node.integer(attr, 1);
  if (value < 1 || count % value != 0) {
    throw Error(
        fmt::format("{}: {} = {} does not divide {} {}", describe(node), attr, value, count, what),
        fmt::format("legal values are {}", fmt::join(divisors(count), ", ")));
  }
  return value;
}

void finish_rhythm(const Node& node, int64_t stages, int64_t give_interval, Rhythm& rhythm) {
  // A credit comes back depth + 1 cycles after the issue that took it.
  const int64_t fewest = (stages + 1 + give_interval) / give_interval;
  rhythm.queue = node.integer("queue", fewest);
  if (rhythm.queue < 1) {
    throw Error(fmt::format("{}: queue = {} beats", describe(node), rhythm.queue),
                "legal values are 1 and above");
  }
  rhythm.depth = stages + 1 + (rhythm.queue > kLutQueueDepth ? 1 : 0);
}

}  // namespace foldstream
