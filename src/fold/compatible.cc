// SPDX-License-Identifier: Apache-2.0
#include "src/fold/compatible.h"

namespace foldstream {

Made compatible(size_t count, const std::function<std::optional<bool>(const Made&)>& holds) {
  Made made(count, true);
  const auto first = [&](size_t many) {
    Made some = made;
    for (size_t i = many; i < count; ++i) some[i] = false;
    return some;
  };
  for (size_t good = 0, bad = count;; bad = count) {
    std::optional<bool> answer = holds(made);
    if (answer.value_or(false)) return made;
    // The first that is one too many.
    while (answer && good + 1 < bad) {
      const size_t middle = good + (bad - good) / 2;
      answer = holds(first(middle));
      if (answer) (*answer ? good : bad) = middle;
    }
    if (!answer) return first(good);
    made[bad - 1] = false;
    good = bad;
    if (good == count) return made;
  }
}

}  // namespace foldstream
