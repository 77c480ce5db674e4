// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fitter.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <utility>

#include "src/util/parallel.h"

namespace foldstream {

Fitter::Fitter(Schedule schedule, std::vector<int64_t> queues)
    : later_(schedule), earlier_(std::move(schedule)), queues_(std::move(queues)) {}

bool Fitter::fit(const std::vector<size_t>& links, int64_t beats, int64_t& work) {
  std::vector<int64_t> before;
  for (const size_t link : links) before.push_back(std::exchange(queues_[link], beats));
  std::array<int64_t, 2> left{work, work};
  std::array<std::optional<std::vector<size_t>>, 2> moved;
  const std::atomic<bool> is_first_wanted = true;
  std::atomic<bool> is_second_wanted = true;
  parallel_for(2, [&](size_t k) {
    if (k == 0) {
      moved[0] = later_.move(Schedule::Direction::later, queues_, links, left[0], is_first_wanted);
      if (moved[0]) is_second_wanted = false;
    } else {
      moved[1] =
          earlier_.move(Schedule::Direction::earlier, queues_, links, left[1], is_second_wanted);
    }
  });
  // However far the second came when the first was done must not count.
  work = moved[0] ? left[0] : std::min(left[0], left[1]);
  if (moved[0]) {
    if (moved[1]) earlier_.take_over(later_, *moved[1]);
    earlier_.take_over(later_, *moved[0]);
  } else if (moved[1]) {
    later_.take_over(earlier_, *moved[1]);
  } else {
    for (size_t i = 0; i < links.size(); ++i) queues_[links[i]] = before[i];
  }
  return moved[0] || moved[1];
}

}  // namespace foldstream
