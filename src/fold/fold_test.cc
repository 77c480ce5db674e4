// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// A dense layer whose cost is written into the node, so that trade-offs can be anything.
std::vector<int64_t> divisors_of(int64_t count) {
  std::vector<int64_t> result;
  for (int64_t d = 1; d <= count; ++d) {
    if (count % d == 0) result.push_back(d);
  }
  return result;
}

int64_t rows(const Node& node) { return node.integer("rows"); }
int64_t columns(const Node& node) { return node.in_type(0).count(); }

std::vector<Type> infer_layer(const Node& node) {
  return {integer_type(4, false, {1, rows(node)})};
}
std::vector<Fold> folds_layer(const Node& node) {
  return {{"pe", divisors_of(rows(node))}, {"simd", divisors_of(columns(node))}};
}
Ports ports_layer(const Node& node) {
  const int64_t pe = node.integer("pe", 1), simd = node.integer("simd", 1);
  Ports ports;
  for (size_t i = 0; i < node.in.size(); ++i)
    ports.in.push_back({simd, node.in_type(i).bits, columns(node) / simd});
  ports.out.push_back({pe, 4, rows(node) / pe});
  return ports;
}
Rhythm rhythm_layer(const Node& node, Family) {
  const int64_t nf = rows(node) / node.integer("pe", 1);
  const int64_t sf = columns(node) / node.integer("simd", 1);
  const uint32_t take = node.in.size() == 2 ? 3 : 1;
  std::vector<Block> frame{{1, {{sf - 1, take, 0}, {1, take, 1}}}};
  if (nf > 1) frame.push_back({nf - 1, {{sf - 1, 0, 0}, {1, 0, 1}}});
  return {std::move(frame), 3, node.integer("queue", 4)};
}
Cost cost_layer(const Node& node, Family) {
  const int64_t pe = node.integer("pe", 1), simd = node.integer("simd", 1);
  const int64_t seed = node.integer("seed");
  const auto noise = static_cast<double>((pe * 7919 + simd * 104729 + seed * 31337) % 97);
  return {static_cast<double>(pe * simd * 5) + noise, static_cast<double>(pe * 9),
          static_cast<double>(pe * simd % 5), 0, static_cast<double>(seed % 2 * pe)};
}
const Op kLayer{.name = "fake_layer",
                .doc = "a dense layer of any cost",
                .kind = Op::Kind::hardware,
                .infer = infer_layer,
                .folds = folds_layer,
                .ports = ports_layer,
                .rhythm = rhythm_layer,
                .cost = cost_layer,
                .finn_name = "MVAU"};

Node& input_of(Graph& graph, int64_t elements) {
  return graph.add(require_op("input"), {}, "x",
                   {{"type", "u4"}, {"shape", std::vector<int64_t>{1, elements}}});
}

Node& layer(Graph& graph, std::vector<Value> in, const std::string& name, int64_t rows,
            int64_t seed) {
  return graph.add(kLayer, std::move(in), name, {{"rows", rows}, {"seed", seed}});
}

// Price of a folded graph with its stream nodes, and its interval.
std::pair<double, int64_t> judge(const Graph& graph, const Part& part) {
  Graph whole = graph.clone();
  insert_stream_nodes(whole);
  return {price_on(part).of(total_cost(whole, part.family)),
          slowest_node(graph, part.family).second};
}

// The best price of all foldings with at most so many cycles.
double brute_force(Graph& graph, int64_t cycles, const Part& part) {
  std::vector<std::pair<Node*, Fold>> dials;
  for (Node& node : graph.nodes) {
    if (node.op->folds == nullptr) continue;
    for (Fold& fold : node.op->folds(node)) dials.push_back({&node, std::move(fold)});
  }
  double best = std::numeric_limits<double>::infinity();
  std::vector<size_t> at(dials.size(), 0);
  while (true) {
    for (size_t i = 0; i < dials.size(); ++i)
      dials[i].first->attr[dials[i].second.attr] = dials[i].second.legal[at[i]];
    const auto [price, interval] = judge(graph, part);
    if (interval <= cycles) best = std::min(best, price);
    size_t i = 0;
    while (i < at.size() && ++at[i] == dials[i].second.legal.size()) at[i++] = 0;
    if (i == at.size()) return best;
  }
}

TEST(Fold, ChainsEqualBruteForce) {
  const Part& part = find_part("xc7z020");
  for (unsigned seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Graph graph;
    Node* last = &input_of(graph, 6);
    for (int i = 0; i < 3; ++i) {
      const int64_t sizes[] = {2, 4, 6, 3};
      last = &layer(graph, {{last, 0}}, "l" + std::to_string(i), sizes[random() % 4],
                    static_cast<int64_t>(random() % 1000));
    }
    graph.outputs.push_back({"y", {last, 0}});
    for (int64_t cycles : {4, 9, 12, 36}) {
      const double best = brute_force(graph, cycles, part);
      const FoldResult result = fold_for_cycles(graph, cycles, part);
      EXPECT_TRUE(result.optimal);
      EXPECT_LE(result.cycles, cycles);
      const auto [price, interval] = judge(graph, part);
      EXPECT_EQ(interval, result.cycles);
      EXPECT_NEAR(price, best, 1e-9);
      EXPECT_NEAR(price, price_on(part).of(result.cost), 1e-9);
    }
  }
}

TEST(Fold, ForksAndJoinsEqualBruteForce) {
  const Part& part = find_part("LFE5U-85F");
  for (int64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph;
    Node& x = input_of(graph, 4);
    Node& a = layer(graph, {{&x, 0}}, "a", 4, seed);
    Node& b = layer(graph, {{&a, 0}}, "b", 4, seed + 17);
    Node& join = layer(graph, {{&a, 0}, {&b, 0}}, "join", 2, seed + 5);
    Node& second = layer(graph, {{&x, 0}}, "second", 2, seed + 40);
    graph.outputs.push_back({"y", {&join, 0}});
    graph.outputs.push_back({"z", {&second, 0}});
    for (int64_t cycles : {2, 6, 16}) {
      const double best = brute_force(graph, cycles, part);
      const FoldResult result = fold_for_cycles(graph, cycles, part);
      EXPECT_TRUE(result.optimal);
      EXPECT_NEAR(judge(graph, part).first, best, 1e-9);
    }
  }
}

TEST(Fold, TheHighestRateThatFits) {
  const Part& part = find_part("xc7z020");
  Graph graph;
  Node& x = input_of(graph, 784);
  Node& a = layer(graph, {{&x, 0}}, "a", 64, 2);
  Node& b = layer(graph, {{&a, 0}}, "b", 64, 4);
  graph.outputs.push_back({"y", {&b, 0}});
  const FoldResult whole = fold_max(graph, part, 0.8);
  EXPECT_TRUE(fits(whole.cost, part, 0.8));
  EXPECT_LE(whole.cost.lut, 0.8 * 53200);
  EXPECT_EQ(whole.cycles, 7);  // 64 x 784 / 7 at 5 LUT each: the next step up does not fit
  EXPECT_THROW(fold_max(graph, find_part("iCE40HX8K"), 0.001), Error);
  EXPECT_THROW(fold_max(graph, part, 0), Error);
}

TEST(Fold, WhatCannotBeReachedNamesTheNearest) {
  Graph graph;
  Node& x = input_of(graph, 8);
  // One beat a cycle at most: four results of two lanes take two cycles.
  Node& a = layer(graph, {{&x, 0}}, "a", 4, 1);
  graph.outputs.push_back({"y", {&a, 0}});
  try {
    fold_for_cycles(graph, 0, find_part("xc7z020"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "node 'a' (fake_layer) needs at least 1 cycles a frame, the target leaves 0");
    EXPECT_EQ(error.help(), "the nearest that can be reached is 1 cycles a frame");
  }
  EXPECT_EQ(cycles_for_rate(1e6, 100), 100);
  EXPECT_EQ(cycles_for_rate(3e6, 100), 33);
  EXPECT_EQ(cycles_for_rate(1e8, 100), 1);
  EXPECT_THROW(cycles_for_rate(2e8, 100), Error);
  EXPECT_THROW(cycles_for_rate(0, 100), Error);
  EXPECT_THROW(cycles_for_rate(1000, 0), Error);
  EXPECT_THROW(cycles_for_rate(1000, std::numeric_limits<double>::quiet_NaN()), Error);
}

}  // namespace
}  // namespace foldstream
