// SPDX-License-Identifier: Apache-2.0
#include "src/arith/requantization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "src/ir/op.h"

namespace foldstream::arith {
namespace {

struct Rows {
  Graph graph;
  const Node* node = nullptr;
  Thresholds thresholds() const { return {*node, node->in_type(0).shape.back()}; }
};

Rows rows_of(int64_t rows, std::vector<int64_t> t, std::vector<int64_t> flip = {}) {
  Rows result;
  Node& input = result.graph.add(require_op("input"), {}, "x",
                                 {{"type", std::string("s20")}, {"shape", Shape{1, rows}}});
  const auto levels = static_cast<int64_t>(t.size()) / rows;
  std::map<std::string, Tensor, std::less<>> data{{"t", make_ints(Shape{rows, levels}, t)}};
  if (!flip.empty()) data["flip"] = make_ints(integer_type(1, false, {rows}), std::move(flip));
  result.node = &result.graph.add(require_op("threshold"), {{&input, 0}}, "t", {}, std::move(data));
  return result;
}

void expect_equal(const Rows& rows, const Requantization& found, int64_t lo, int64_t hi) {
  const Thresholds thresholds = rows.thresholds();
  for (int64_t row = 0; row < thresholds.rows(); ++row) {
    for (int64_t q = lo; q <= hi; ++q) {
      const int64_t sum = q * found.multiplier[row] + found.addend[row];
      const int64_t level = std::clamp<int64_t>(sum >> found.shift, 0, thresholds.levels());
      ASSERT_EQ(level, thresholds.apply(row, q)) << "row " << row << ", q " << q;
    }
  }
}

// Thresholds of random scales and offsets, as quantizers have them: each is found and is the same
// for every value, in rising and in falling rows.
TEST(Requantization, FindsWhatQuantizersDo) {
  std::mt19937_64 random(5);
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t levels = std::vector<int64_t>{3, 15, 255}[trial % 3], rows = 2;
    const int64_t hi = 40 * levels, lo = -hi;
    const double scale = 0.05 + static_cast<double>(random() % 1000) / 1700;
    const auto offset = static_cast<double>(random() % 2000) / 100 - 10;
    std::vector<int64_t> t;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t k = 1; k <= levels; ++k) {
        t.push_back(static_cast<int64_t>(
            std::ceil((static_cast<double>(k) - 0.5 + offset) / scale / (row == 0 ? 1 : 1.3))));
      }
    }
    const Rows made = rows_of(rows, t, {trial % 2, 0});
    const int64_t least[] = {lo}, most[] = {hi};
    const auto found = find_requantization(made.thresholds(), least, most);
    ASSERT_TRUE(found.has_value());
    expect_equal(made, *found, lo, hi);
  }
}

TEST(Requantization, TakesTheSmallestShift) {
  const Rows made = rows_of(1, {2, 4, 6});
  const int64_t lo[] = {-20}, hi[] = {20};
  const auto found = find_requantization(made.thresholds(), lo, hi);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->shift, 1);
  EXPECT_EQ(found->multiplier, (std::vector<int64_t>{1}));
  EXPECT_EQ(found->addend, (std::vector<int64_t>{0}));
}

TEST(Requantization, FindsNothingForUnevenThresholds) {
  const Rows made = rows_of(1, {0, 1, 10, 11, 12, 30});
  const int64_t lo[] = {-100}, hi[] = {100};
  EXPECT_FALSE(find_requantization(made.thresholds(), lo, hi).has_value());
}

// What lies beyond the range need not be met.
TEST(Requantization, LooksAtTheRangeAlone) {
  const Rows made = rows_of(1, {-50, 2, 4, 90});
  const int64_t lo[] = {0}, hi[] = {5};
  const auto found = find_requantization(made.thresholds(), lo, hi);
  ASSERT_TRUE(found.has_value());
  expect_equal(made, *found, 0, 5);
}

}  // namespace
}  // namespace foldstream::arith
