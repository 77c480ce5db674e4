// SPDX-License-Identifier: Apache-2.0
#include "src/arith/scaled_levels.h"

#include <gtest/gtest.h>

#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/util/error.h"

namespace foldstream::arith {
namespace {

Graph thresholds(const std::string& type, Tensor t) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", type}, {"shape", foldstream::Shape{1, t.type.shape[0]}}});
  Node& node = graph.add(require_op("threshold"), {{&x, 0}}, "q", {}, {{"t", std::move(t)}});
  graph.outputs.push_back({"y", {&node, 0}});
  return graph;
}

std::vector<int64_t> even(int64_t first, int64_t sixteenths, int64_t count) {
  std::vector<int64_t> t;
  for (int64_t i = 0; i < count; ++i) t.push_back(first + i * sixteenths / 16);
  return t;
}

std::string message(Node node) {
  try {
    infer_node(node);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ScaledLevels, EvenThresholdsAreAMultiplication) {
  std::vector<int64_t> t = even(-100, 200, 15);
  const std::vector<int64_t> other = even(-30, 77, 15);
  t.insert(t.end(), other.begin(), other.end());
  Graph graph = thresholds("s9", make_ints(foldstream::Shape{2, 15}, std::move(t)));
  EXPECT_TRUE(run_pass(*find_pass("scale_thresholds"), graph));
  Node& node = graph.nodes.back();
  const Tensor &m = *node.tensor("multiplier"), &a = *node.tensor("addend");
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t x = -256; x < 256; ++x) {
      const int64_t level =
          std::clamp<int64_t>((x * m.ints[row] + a.ints[row]) >> node.integer("shift"), 0, 15);
      ASSERT_EQ(level, Thresholds(node, 2).apply(row, x)) << row << " " << x;
    }
  }
  EXPECT_EQ(message(node), "no error");
}

TEST(ScaledLevels, OthersAreNot) {
  std::vector<int64_t> t = even(-100, 200, 15);
  t[7] += 3;
  Graph graph = thresholds("s9", make_ints(foldstream::Shape{1, 15}, std::move(t)));
  EXPECT_FALSE(run_pass(*find_pass("scale_thresholds"), graph));
  EXPECT_FALSE(has_scaling(graph.nodes.back()));
}

// Whoever writes them: a multiplication that gives another level anywhere is refused.
TEST(ScaledLevels, WrongOnesAreRefused) {
  Graph graph = thresholds("s9", make_ints(foldstream::Shape{1, 15}, even(-100, 200, 15)));
  ASSERT_TRUE(run_pass(*find_pass("scale_thresholds"), graph));
  const Node node = graph.nodes.back();
  Node wrong = node;
  wrong.data["addend"].ints[0] += int64_t{1} << node.integer("shift");
  EXPECT_NE(message(wrong).find("row 0: 'multiplier', 'addend' and 'shift' give level"),
            std::string::npos);
  wrong = node;
  wrong.data["multiplier"].ints[0] *= -1;
  EXPECT_NE(message(wrong), "no error");
  wrong = node;
  wrong.data.erase("addend");
  EXPECT_NE(message(wrong).find("of as many rows"), std::string::npos);
  wrong = node;
  wrong.attr["shift"] = int64_t{40};
  EXPECT_EQ(message(wrong).substr(0, 4), "node");
}

}  // namespace
}  // namespace foldstream::arith
