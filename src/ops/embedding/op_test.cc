// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include "src/ir/eval.h"
#include "src/passes/streamline.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Rows of a float table by s64 indices.
Graph rows_of(std::vector<double> table, const Shape& shape, const Shape& indices) {
  Graph graph;
  Node& index = graph.add(require_op("input"), {}, "i", {{"type", "s64"}, {"shape", indices}});
  Node& rows = graph.add(require_op("constant"), {}, "table", {},
                         {{"value", make_floats(shape, std::move(table))}});
  Node& node = graph.add(require_op("embedding"), {{&index, 0}, {&rows, 0}}, "rows");
  graph.outputs.push_back({"y", {&node, 0}});
  return graph;
}

std::vector<double> run(const Graph& graph, std::vector<int64_t> indices) {
  const Tensor in = make_ints(graph.nodes.front().out[0], std::move(indices));
  return Evaluator(graph).run({&in, 1})[0].reals;
}

const std::vector<double> kTable{0.5, -1, 1.5, 0, -2, 3.5};

TEST(Embedding, RowsByIndexAndFromTheEnd) {
  const Graph graph = rows_of(kTable, {3, 2}, {1, 2});
  EXPECT_EQ(graph.nodes.back().out[0].shape, (Shape{1, 2, 2}));
  EXPECT_EQ(run(graph, {2, -3}), (std::vector<double>{-2, 3.5, 0.5, -1}));
  EXPECT_THROW(run(graph, {0, 3}), Error);
  EXPECT_THROW(run(graph, {-4, 0}), Error);
}

TEST(Embedding, BecomesALookupWhereTheTableIsIntegers) {
  const Graph graph = rows_of(kTable, {3, 2}, {1, 2});
  const Streamlined lowered = streamline(graph, {});
  const Node* lookup = nullptr;
  for (const Node& node : lowered.graph.nodes) {
    if (node.op == &require_op("lookup")) lookup = &node;
  }
  ASSERT_NE(lookup, nullptr);
  EXPECT_EQ(lookup->tensor("table")->ints, (std::vector<int64_t>{1, -2, 3, 0, -4, 7}));
  EXPECT_EQ(element_name(lookup->in_type(0)), "u2");
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(run(lowered.graph, {i, 2 - i}), run(graph, {i, 2 - i}));
  }
  EXPECT_THROW(run(lowered.graph, {-1, 0}), Error);  // hardware's indices have no sign
}

TEST(Embedding, StaysOnTheHostWhereItIsNot) {
  const Graph graph = rows_of({0.31, 0.1, 1, 0, 0, 0.7723}, {3, 2}, {1, 2});
  const Streamlined lowered = streamline(graph, {});
  ASSERT_FALSE(lowered.findings.empty());
  EXPECT_NE(lowered.findings.back().reason, "");
  EXPECT_EQ(run(lowered.graph, {2, 1}), run(graph, {2, 1}));
}

}  // namespace
}  // namespace foldstream
