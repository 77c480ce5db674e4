// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include "src/ir/eval.h"

namespace foldstream {
namespace {

std::vector<int64_t> select(std::vector<int64_t> x, int64_t k) {
  Graph graph;
  const auto count = static_cast<int64_t>(x.size());
  Node& input = graph.add(require_op("input"), {}, "x",
                          {{"type", std::string("s8")}, {"shape", Shape{1, count}}});
  const Node& node = graph.add(require_op("label_select"), {{&input, 0}}, "label", {{"k", k}});
  const Tensor in = make_ints(input.out[0], std::move(x));
  const Tensor* operand = &in;
  return evaluate_node(node, {&operand, 1})[0].ints;
}

TEST(LabelSelect, LargestFirstAndLowerIndexAmongEquals) {
  EXPECT_EQ(select({-3, 7, 7, -8, 0}, 1), (std::vector<int64_t>{1}));
  EXPECT_EQ(select({-3, 7, 7, -8, 0}, 5), (std::vector<int64_t>{1, 2, 4, 0, 3}));
  EXPECT_EQ(select({5, 5, 5}, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(select({-128}, 1), (std::vector<int64_t>{0}));
}

}  // namespace
}  // namespace foldstream
