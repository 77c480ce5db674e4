// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "src/ir/eval.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Tensor reached(const std::string& type, const Shape& shape, std::vector<int64_t> x,
               std::map<std::string, Tensor, std::less<>> data,
               std::map<std::string, Attr, std::less<>> attr = {}) {
  Graph graph;
  Node& input = graph.add(require_op("input"), {}, "x", {{"type", type}, {"shape", shape}});
  const Node& node = graph.add(require_op("threshold"), {{&input, 0}}, "quantize", std::move(attr),
                               std::move(data));
  const Tensor in = make_ints(input.out[0], std::move(x));
  const Tensor* operand = &in;
  return evaluate_node(node, {&operand, 1})[0];
}

TEST(Threshold, CountsPerChannelAndFlips) {
  const Tensor t = make_ints(Shape{2, 2}, {-1, 3, 0, 0});
  const std::vector<int64_t> x{-2, -1, -1, 0, 3, 5};
  EXPECT_EQ(reached("s4", {3, 2}, x, {{"t", t}}).ints, (std::vector<int64_t>{0, 0, 1, 2, 2, 2}));
  EXPECT_EQ(reached("s4", {3, 2}, x, {{"t", t}, {"flip", make_ints(Shape{2}, {1, 0})}}).ints,
            (std::vector<int64_t>{2, 0, 1, 2, 0, 2}));
}

TEST(Threshold, AxisChoosesTheChannel) {
  const Tensor t = make_ints(Shape{2, 1}, {1, 3});
  EXPECT_EQ(reached("u2", {2, 3}, {0, 1, 2, 1, 2, 3}, {{"t", t}}, {{"axis", int64_t{0}}}).ints,
            (std::vector<int64_t>{0, 1, 1, 0, 0, 1}));
}

// Many levels are searched, few are counted: both give what the definition says.
TEST(Threshold, ManyLevelsAreSearched) {
  std::mt19937_64 random(3);
  for (const int64_t levels : {3, 16, 17, 300}) {
    std::vector<int64_t> t(levels), x(64);
    for (int64_t& v : t) v = static_cast<int64_t>(random() % 200) - 100;
    std::sort(t.begin(), t.end());
    for (int64_t& v : x) v = static_cast<int64_t>(random() % 256) - 128;
    const Tensor y = reached("s8", {64}, x, {{"t", make_ints(Shape{1, levels}, t)}});
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(y.ints[i], std::count_if(t.begin(), t.end(), [&](int64_t v) { return x[i] >= v; }));
    }
  }
}

}  // namespace
}  // namespace foldstream
