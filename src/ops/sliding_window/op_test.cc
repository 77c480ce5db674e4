// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include <numeric>

#include "src/ir/eval.h"

namespace foldstream {
namespace {

using List = std::vector<int64_t>;

// Windows of a frame that counts its elements from 1.
Tensor windows(const std::string& type, Shape shape,
               std::map<std::string, Attr, std::less<>> attr) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", type}, {"shape", shape}});
  const Node& node = graph.add(require_op("sliding_window"), {{&x, 0}}, "window", std::move(attr));
  Tensor in = make_zero(x.out[0]);
  std::iota(in.ints.begin(), in.ints.end(), 1);
  const Tensor* operand = &in;
  return evaluate_node(node, {&operand, 1})[0];
}

TEST(SlidingWindow, OneAxis) {
  const Tensor y =
      windows("u4", {1, 4, 1}, {{"kernel", List{3}}, {"stride", List{2}}, {"pad", List{1, 1}}});
  EXPECT_EQ(y.type.shape, (Shape{1, 2, 3}));
  EXPECT_EQ(y.ints, (List{0, 1, 2, 2, 3, 4}));
}

TEST(SlidingWindow, TapsThenChannels) {
  const Tensor y = windows("u4", {1, 2, 2, 2}, {{"kernel", List{2, 2}}});
  EXPECT_EQ(y.ints, (List{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(SlidingWindow, GroupsStandOutside) {
  const Tensor y = windows("u4", {1, 2, 2, 2}, {{"kernel", List{2, 2}}, {"groups", int64_t{2}}});
  EXPECT_EQ(y.ints, (List{1, 3, 5, 7, 2, 4, 6, 8}));
}

TEST(SlidingWindow, PaddingAndDilation) {
  const Tensor y = windows("u4", {1, 2, 3, 1},
                           {{"kernel", List{2, 2}},
                            {"dilation", List{1, 2}},
                            {"pad", List{1, 0, 0, 0}},
                            {"pad_value", int64_t{-1}}});
  EXPECT_EQ(element_name(y.type), "s5");
  EXPECT_EQ(y.type.shape, (Shape{1, 2, 1, 4}));
  EXPECT_EQ(y.ints, (List{-1, -1, 1, 3, 1, 3, 4, 6}));
}

}  // namespace
}  // namespace foldstream
