// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/level.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <mutex>
#include <optional>

#include "hwy/targets.h"
#include "src/kernel/tiles.h"
#include "src/util/error.h"
#include "src/util/suggest.h"

namespace foldstream::kernel {

constexpr const char* kTiles = "AMX";  // Highway's best level with tiles beside it

std::vector<std::string> levels() {
  std::vector<std::string> names;
  if (has_tiles()) names.emplace_back(kTiles);
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.emplace_back(hwy::TargetName(target));
  }
  return names;
}

void at_level(const std::string& level, const std::function<void()>& make) {
  // Highway's choice of a target is one for the process.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  int64_t chosen = 0;
  const bool best = level.empty() || (level == kTiles && has_tiles());
  std::optional<WithoutTiles> without_tiles;
  if (!best) {
    without_tiles.emplace();
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      if (hwy::TargetName(target) == level) chosen = target;
    }
    if (chosen == 0) {
      throw Error(fmt::format("instruction set level '{}' is not among those of this machine: {}",
                              level, fmt::join(levels(), ", ")),
                  did_you_mean(level, levels()));
    }
  }
  struct Restore {
    ~Restore() { hwy::SetSupportedTargetsForTest(0); }
  } restore;
  hwy::SetSupportedTargetsForTest(chosen);
  make();
}

}  // namespace foldstream::kernel
