// SPDX-License-Identifier: Apache-2.0
#include "src/fold/compatible.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

namespace foldstream {
namespace {

// Pairs of changes that don't go together.
using Conflicts = std::vector<std::pair<size_t, size_t>>;

bool is_good(const Conflicts& conflicts, const Made& made) {
  return std::none_of(conflicts.begin(), conflicts.end(),
                      [&](const auto& pair) { return made[pair.first] && made[pair.second]; });
}

Conflicts some_conflicts(std::mt19937& random, size_t count) {
  std::uniform_int_distribution<size_t> pick(0, count - 1);
  Conflicts conflicts;
  for (size_t i = pick(random); i > 0; --i) {
    const size_t a = pick(random), b = pick(random);
    if (a != b) conflicts.emplace_back(a, b);
  }
  return conflicts;
}

TEST(Compatible, KeepsEachChangeThatGoesWithThoseKeptBeforeIt) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const size_t count = 1 + seed % 13;
    const Conflicts conflicts = some_conflicts(random, count);
    int asked = 0;
    const Made made = compatible(count, [&](const Made& some) -> std::optional<bool> {
      ++asked;
      return is_good(conflicts, some);
    });
    Made expected(count, false);
    for (size_t i = 0; i < count; ++i) {
      expected[i] = true;
      if (!is_good(conflicts, expected)) expected[i] = false;
    }
    EXPECT_EQ(made, expected);
    const auto undone = static_cast<int>(std::count(made.begin(), made.end(), false));
    EXPECT_LE(asked, 1 + 5 * undone);
  }
}

TEST(Compatible, OneThatIsBadByItselfIsUndone) {
  const Made made =
      compatible(4, [](const Made& some) -> std::optional<bool> { return !some[0] && !some[3]; });
  EXPECT_EQ(made, (Made{false, true, true, false}));
}

// Whenever the answers end, what is left has been found good, or is nothing.
TEST(Compatible, KeepsOnlyWhatIsKnownToBeGood) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const size_t count = 2 + seed % 11;
    const Conflicts conflicts = some_conflicts(random, count);
    for (int most = 0; most < 12; ++most) {
      int asked = 0;
      std::vector<Made> good{Made(count, false)};
      const Made made = compatible(count, [&](const Made& some) -> std::optional<bool> {
        if (asked++ == most) return std::nullopt;
        if (is_good(conflicts, some)) good.push_back(some);
        return is_good(conflicts, some);
      });
      EXPECT_TRUE(std::find(good.begin(), good.end(), made) != good.end() ||
                  is_good(conflicts, made));
      EXPECT_TRUE(is_good(conflicts, made));
    }
  }
}

}  // namespace
}  // namespace foldstream
