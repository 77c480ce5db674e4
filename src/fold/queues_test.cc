// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <gtest/gtest.h>

#include <random>

#include "src/sim/cycle_model.h"
#include "src/sim/fake_op.h"

namespace foldstream {
namespace {

struct Judgement {
  int64_t frames = 0, cycles = 0, latency = 0;
  bool operator==(const Judgement&) const = default;
};

Judgement judge(const Graph& graph) {
  SimOptions options;
  options.frames = 200;
  const SimResult result = simulate(stream_graph(graph, Family::generic), options);
  if (result.deadlock) return {};
  return {result.period_frames, result.period_cycles, result.latency_cycles};
}

Node& block(Graph& graph, std::vector<Value> in, const std::string& name,
            std::vector<int64_t> phases, std::vector<int64_t> elements, int64_t depth = 1) {
  return graph.add(
      fake::block, std::move(in), name,
      {{"phases", std::move(phases)}, {"elements", std::move(elements)}, {"depth", depth}});
}

// A chain of dense layers, a branch with a slow block, both fed at the rate of the slowest node.
std::vector<Graph> samples() {
  std::vector<Graph> result;
  {
    Graph& graph = result.emplace_back();
    Node& x = graph.add(require_op("input"), {}, "x",
                        {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 16}}});
    Node& a = block(graph, {{&x, 0}}, "a", {4, 1, 0, 12, 0, 1}, {12}, 4);
    Node& b = block(graph, {{&a, 0}}, "b", {11, 1, 0, 1, 1, 1, 3, 0, 1}, {4}, 3);
    Node& c = block(graph, {{&b, 0}}, "c", {3, 1, 0, 1, 1, 1}, {1}, 2);
    graph.outputs.push_back({"y", {&c, 0}});
  }
  {
    Graph& graph = result.emplace_back();
    Node& x = graph.add(require_op("input"), {}, "x",
                        {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 8}}});
    Node& fork = block(graph, {{&x, 0}}, "fork", {8, 1, 3}, {8, 8});
    Node& slow = block(graph, {{&fork, 0}}, "slow", {8, 1, 0, 2, 0, 0, 8, 0, 1}, {8}, 5);
    Node& join = block(graph, {{&slow, 0}, {&fork, 1}}, "join", {8, 3, 1}, {8}, 2);
    graph.outputs.push_back({"y", {&join, 0}});
  }
  return result;
}

TEST(Queues, EachIsTheLeast) {
  for (Graph& graph : samples()) {
    const QueueResult result = set_queues(graph, Family::generic);
    const Judgement best = judge(graph);
    EXPECT_EQ(best.cycles, result.interval_cycles * best.frames);
    EXPECT_EQ(best.latency, result.latency_cycles);
    for (Node& node : graph.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      const int64_t queue = node.integer("queue");
      if (queue > 1) {
        node.attr["queue"] = queue - 1;
        const Judgement less = judge(graph);
        EXPECT_TRUE(less.frames == 0 || less.cycles * best.frames > best.cycles * less.frames ||
                    less.latency > best.latency)
            << node.name;
      }
      node.attr["queue"] = queue + 7;  // and more changes nothing
      const Judgement more = judge(graph);
      EXPECT_EQ(more.cycles * best.frames, best.cycles * more.frames);
      EXPECT_EQ(more.latency, best.latency);
      node.attr["queue"] = queue;
    }
  }
}

TEST(Queues, OneGiveACycleNeedsDepthAndOneMore) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 64}}});
  Node& a = block(graph, {{&x, 0}}, "a", {64, 1, 1}, {64}, 5);
  Node& b = block(graph, {{&a, 0}}, "b", {3, 1, 0, 1, 1, 1}, {16}, 9);
  b.attr["repeat"] = int64_t{16};
  infer_node(b);
  graph.outputs.push_back({"y", {&b, 0}});
  set_queues(graph, Family::generic);
  EXPECT_EQ(a.integer("queue"), 6);
  EXPECT_EQ(b.integer("queue"), 3);  // a credit comes back after ten cycles, one goes every four
}

TEST(Queues, WhatIsSetIsTheLeastAllowed) {
  Graph graph = std::move(samples()[0]);
  set_queues(graph, Family::generic);
  std::vector<int64_t> chosen;
  for (Node& node : graph.nodes) chosen.push_back(node.integer("queue", 0));
  set_queues(graph, Family::generic);  // reads back to the same
  for (size_t i = 0; i < chosen.size(); ++i)
    EXPECT_EQ(graph.nodes[i].integer("queue", 0), chosen[i]);
  graph.nodes[1].attr["queue"] = int64_t{50};
  set_queues(graph, Family::generic);
  EXPECT_EQ(graph.nodes[1].integer("queue"), 50);
}

}  // namespace
}  // namespace foldstream
