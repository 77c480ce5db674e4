// SPDX-License-Identifier: Apache-2.0
#include "src/window/geometry.h"

#include <gtest/gtest.h>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream::window {
namespace {

using List = std::vector<int64_t>;

Geometry geometry(Shape shape, std::map<std::string, Attr, std::less<>> attr,
                  const std::string& type = "u4") {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", type}, {"shape", std::move(shape)}});
  Node node;
  node.in = {{&x, 0}}, node.attr = std::move(attr);
  return Geometry(node);
}

std::string refusal(Shape shape, std::map<std::string, Attr, std::less<>> attr) {
  try {
    geometry(std::move(shape), std::move(attr));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(WindowGeometry, CountsWindows) {
  const Geometry g = geometry({2, 7, 9, 3}, {{"kernel", List{3, 2}},
                                             {"stride", List{2, 1}},
                                             {"dilation", List{1, 3}},
                                             {"pad", List{1, 0, 0, 2}}});
  EXPECT_EQ(g.rows.windows(), 3);     // rows -1, 1, 3 to 5 of 7
  EXPECT_EQ(g.columns.windows(), 8);  // columns 0 to 7, reaching over 4 of 11
  EXPECT_EQ(g.result(5), (Shape{2, 3, 8, 5}));
  EXPECT_EQ(g.taps(), 6);
}

TEST(WindowGeometry, OneAxis) {
  const Geometry g = geometry({1, 16, 4}, {{"kernel", List{5}}, {"pad", List{2, 2}}});
  EXPECT_EQ(g.result(4), (Shape{1, 16, 4}));
  EXPECT_EQ(g.rows, Axis{});
}

TEST(WindowGeometry, ElementsHoldThePadding) {
  const std::map<std::string, Attr, std::less<>> attr{
      {"kernel", List{3}}, {"pad", List{1, 1}}, {"pad_value", int64_t{-3}}};
  EXPECT_EQ(element_name(geometry({1, 8, 1}, attr).element), "s5");
  EXPECT_EQ(
      element_name(geometry({1, 8, 1}, {{"kernel", List{3}}, {"pad_value", int64_t{-3}}}).element),
      "u4");
}

TEST(WindowGeometry, TapsInsideTheFrame) {
  const Geometry g = geometry({1, 2, 2, 1}, {{"kernel", List{2, 2}}, {"pad", List{1, 0, 0, 0}}});
  std::vector<List> taps;
  for_each_tap(g, [&](int64_t window, int64_t tap, int64_t offset) {
    taps.push_back({window, tap, offset});
  });
  EXPECT_EQ(taps,
            (std::vector<List>{{0, 2, 0}, {0, 3, 1}, {1, 0, 0}, {1, 1, 1}, {1, 2, 2}, {1, 3, 3}}));
}

TEST(WindowGeometry, Refusals) {
  EXPECT_EQ(refusal({1, 4}, {{"kernel", List{3}}}), "an operand of shape [1,4]");
  EXPECT_EQ(refusal({1, 4, 2}, {}), "'kernel' is missing");
  EXPECT_EQ(refusal({1, 4, 2}, {{"kernel", List{3, 3}}}), "kernel = [3,3]");
  EXPECT_EQ(refusal({1, 4, 4, 2}, {{"kernel", List{3, 3}}, {"stride", List{1, 0}}}),
            "stride = [1,0]");
  EXPECT_EQ(refusal({1, 4, 2}, {{"kernel", List{5}}}),
            "a kernel that reaches over 5 along the length of 4 and padding of 0");
  EXPECT_EQ(refusal({1, 4, 4, 2}, {{"kernel", List{3, 3}}, {"pad", List{1, 3, 1, 3}}}),
            "padding of 3 and 3 along the width, where the kernel reaches over 3");
  EXPECT_EQ(refusal({1, 4, 2}, {{"kernel", List{2}}, {"dilation", List{int64_t{1} << 40}}}),
            "dilation = [1099511627776]");
}

}  // namespace
}  // namespace foldstream::window
