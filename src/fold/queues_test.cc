// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "src/fold/queue_network.h"
#include "src/ir/text.h"
#include "src/sim/cycle_model.h"
#include "src/sim/fake_op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Cycles of a frame in the long run; 0 when everything stops.
double cycles_of(const Graph& graph) {
  SimOptions options;
  options.frames = 200;
  const SimResult result = simulate(stream_graph(graph, Family::generic), options);
  if (result.deadlock) return 0;
  EXPECT_GT(result.period_frames, 0);
  return static_cast<double>(result.period_cycles) / static_cast<double>(result.period_frames);
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
    const auto full = static_cast<double>(result.interval_cycles);
    EXPECT_EQ(cycles_of(graph), full);
    EXPECT_TRUE(result.least());
    for (Node& node : graph.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      const int64_t queue = node.integer("queue");
      if (queue > 1) {
        node.attr["queue"] = queue - 1;
        const double less = cycles_of(graph);
        EXPECT_TRUE(less == 0 || less > full) << node.name;
      }
      node.attr["queue"] = queue + 7;  // and more changes nothing
      EXPECT_EQ(cycles_of(graph), full);
      node.attr["queue"] = queue;
    }
  }
}

// Chains, and a fork with a join, of blocks with phases at random.
Graph small_graph(std::mt19937& random) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Graph graph;
  int64_t beats = pick(2, 4);
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 12}}});
  Value last{&x, 0};
  const auto chain = [&](const std::string& name) {
    std::vector<int64_t> phases;
    const int64_t gives = pick(1, 4);
    // Takes and gives in some order, with pauses.
    for (int64_t taken = 0, given = 0; taken < beats || given < gives;) {
      const bool take = taken < beats && (given >= taken * gives / beats || pick(0, 1) == 0);
      const bool give = !take || (taken + 1 == beats && given < gives && pick(0, 1) == 0);
      if (pick(0, 3) == 0) phases.insert(phases.end(), {pick(1, 3), 0, 0});
      phases.insert(phases.end(), {1, take ? 1 : 0, give ? 1 : 0});
      taken += take ? 1 : 0, given += give ? 1 : 0;
    }
    beats = gives;
    return Value{&block(graph, {last}, name, phases, {12}, pick(1, 3)), 0};
  };
  last = chain("a");
  if (pick(0, 1) == 0) {
    last = chain("b");
    if (pick(0, 1) == 0) last = chain("c");
  } else {
    Node& fork = block(graph, {last}, "fork", {beats, 1, 3}, {12, 12}, pick(1, 2));
    Node& way = block(graph, {{&fork, 0}}, "way", {beats, 1, 0, pick(0, 2), 0, 0, beats, 0, 1},
                      {12}, pick(1, 3));
    Node& join = block(graph, {{&way, 0}, {&fork, 1}}, "join", {beats, 3, 1}, {12}, 1);
    join.attr["hold"] = int64_t{2};
    last = {&join, 0};
  }
  graph.outputs.push_back({"y", last});
  return graph;
}

// The price of queues as queues.h says: that of the memory they are built of.
double price_of(const Graph& graph) {
  double price = 0;
  for (const Node& node : graph.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    const int64_t depth = node.op->rhythm(node, Family::generic).depth;
    for (const Stream& stream : node.op->ports(node).out)
      price += queue_price(stream.width(), node.integer("queue"), depth);
  }
  return price;
}

TEST(Queues, SmallNetworksGetTheCheapestOfAll) {
  int branching = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Graph graph = small_graph(random);
    const QueueResult result = set_queues(graph, Family::generic);
    EXPECT_TRUE(result.cheapest);
    EXPECT_EQ(cycles_of(graph), static_cast<double>(result.interval_cycles));
    const double found = price_of(graph);
    EXPECT_NEAR(found, result.price, 1e-9);
    // Every combination of up to `most` places, and of as many as were found.
    std::vector<Node*> nodes;
    int64_t most = 5;
    for (Node& node : graph.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      nodes.push_back(&node);
      most = std::max(most, node.integer("queue"));
    }
    branching += graph.nodes.back().in.size() > 1 ? 1 : 0;
    if (std::pow(most, nodes.size()) > 5000) continue;
    for (Node* node : nodes) node->attr["queue"] = int64_t{1};
    for (size_t at = 0; at < nodes.size();) {
      if (price_of(graph) < found - 1e-9) {
        const double cycles = cycles_of(graph);
        EXPECT_TRUE(cycles == 0 || cycles > static_cast<double>(result.interval_cycles))
            << print(graph);
      }
      for (at = 0; at < nodes.size(); ++at) {
        const int64_t queue = nodes[at]->integer("queue");
        nodes[at]->attr["queue"] = queue < most ? queue + 1 : 1;
        if (queue < most) break;
      }
    }
  }
  EXPECT_GT(branching, 5);
}

// Cycles of the first frame; none where it never ends.
int64_t latency_of(const StreamGraph& graph) {
  SimOptions options;
  options.frames = 1;
  const SimResult result = simulate(graph, options);
  return result.deadlock ? std::numeric_limits<int64_t>::max() : result.latency_cycles;
}

// The search for the cheapest of all goes from shorter to longer queues.
TEST(Queues, MoreBeatsAreNeverCheaper) {
  for (const int64_t width : {1, 2, 3, 8, 33}) {
    for (const int64_t depth : {1, 2, 5}) {
      for (int64_t beats = 1; beats < 600; ++beats) {
        EXPECT_LT(queue_price(width, beats, depth), queue_price(width, beats + 1, depth))
            << width << " bits, " << beats << " beats";
      }
    }
  }
}

// Where the first frame may take no longer than endless queues let it: the cheapest with which it
// does, of every combination.
TEST(Queues, TheFirstFrameIsNoLaterThanAsked) {
  int longer = 0, later = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Graph graph = small_graph(random);
    StreamGraph endless = stream_graph(graph, Family::generic);
    for (size_t link = 0; link < endless.links.size(); ++link) {
      if (!endless.is_ring(link)) endless.links[link].queue = 1000;
    }
    const int64_t quickest = latency_of(endless);
    Graph free = graph.clone();
    const double price = set_queues(free, Family::generic).price;
    const QueueResult result = set_queues(graph, Family::generic, quickest);
    EXPECT_EQ(result.latency_cycles, quickest);
    EXPECT_EQ(latency_of(stream_graph(graph, Family::generic)), quickest);
    EXPECT_TRUE(result.cheapest);
    EXPECT_TRUE(judge_queues(graph, Family::generic, quickest).least());
    EXPECT_EQ(cycles_of(graph), static_cast<double>(result.interval_cycles));
    longer += result.price > price ? 1 : 0;
    for (const QueueDepth& depth : result.depths)
      later += depth.reason == QueueDepth::Reason::later ? 1 : 0;
    std::vector<Node*> nodes;
    int64_t most = 4;
    for (Node& node : graph.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      nodes.push_back(&node);
      most = std::max(most, node.integer("queue"));
    }
    if (std::pow(most, nodes.size()) > 2000) continue;
    for (Node* node : nodes) node->attr["queue"] = int64_t{1};
    for (size_t at = 0; at < nodes.size();) {
      if (price_of(graph) < result.price - 1e-9) {
        const double cycles = cycles_of(graph);
        EXPECT_TRUE(cycles == 0 || cycles > static_cast<double>(result.interval_cycles) ||
                    latency_of(stream_graph(graph, Family::generic)) > quickest)
            << print(graph);
      }
      for (at = 0; at < nodes.size(); ++at) {
        const int64_t queue = nodes[at]->integer("queue");
        nodes[at]->attr["queue"] = queue < most ? queue + 1 : 1;
        if (queue < most) break;
      }
    }
  }
  EXPECT_GT(longer, 3);
  EXPECT_GT(later, 3);
}

TEST(Queues, ReasonsHoldWhenAskedAgain) {
  for (Graph& graph : samples()) {
    const QueueResult set = set_queues(graph, Family::generic);
    const QueueResult judged = judge_queues(graph, Family::generic);
    EXPECT_TRUE(judged.least());
    EXPECT_EQ(judged.price, set.price);
    int slower = 0;
    for (const QueueDepth& depth : judged.depths) {
      if (depth.reason != QueueDepth::Reason::slower) continue;
      ++slower;
      EXPECT_TRUE(depth.cycles == 0 || depth.cycles > static_cast<double>(judged.interval_cycles));
      EXPECT_TRUE(std::count(depth.among.begin(), depth.among.end(), depth.node) == 1);
    }
    EXPECT_GT(slower, 0);
    for (Node& node : graph.nodes) {
      if (node.op->kind == Op::Kind::hardware) node.attr["queue"] = int64_t{1};
    }
    EXPECT_THROW(judge_queues(graph, Family::generic), Error);
  }
}

// Nothing outside of a part that no stream connects with the rest tells how long its queues must
// be.
TEST(Queues, PartsThatNothingConnectsHaveTheirReasons) {
  for (const bool in_time : {false, true}) {
    for (Graph& graph : samples()) {
      Node& other = graph.add(require_op("input"), {}, "other",
                              {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 40}}});
      Node& late = block(graph, {{&other, 0}}, "late", {40, 1, 1}, {40}, 3);
      Node& slow = block(graph, {{&late, 0}}, "slowest", {40, 1, 1}, {40}, 2);
      graph.outputs.push_back({"z", {&slow, 0}});
      Graph free = graph.clone();
      const int64_t latency = set_queues(free, Family::generic).latency_cycles;
      const QueueResult result =
          set_queues(graph, Family::generic, in_time ? latency : kAnyLatency);
      EXPECT_EQ(result.interval_cycles, 40);
      EXPECT_TRUE(result.least());
      EXPECT_TRUE(judge_queues(graph, Family::generic, in_time ? latency : kAnyLatency).least());
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
  const QueueResult result = set_queues(graph, Family::generic);
  EXPECT_EQ(graph.nodes[1].integer("queue"), 50);
  EXPECT_EQ(result.depths[0].reason, QueueDepth::Reason::asked);
}

// A residual network of four stages at half the resolution each: an image of `size` x `size`
// pixels, `beats` a pixel at first. A layer takes beats^2 cycles a pixel, which the stages keep up.
Graph residual_network(int64_t size, int64_t beats, const std::vector<int64_t>& blocks) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", "u1"}, {"shape", std::vector<int64_t>{1, size * size * beats}}});
  Value last{&x, 0};
  const auto add = [&](std::vector<Value> in, const std::string& name, int64_t repeat,
                       std::vector<int64_t> phases, std::vector<int64_t> elements) -> Node& {
    return graph.add(fake::block, std::move(in), name,
                     {{"phases", std::move(phases)},
                      {"elements", std::move(elements)},
                      {"repeat", repeat},
                      {"depth", int64_t{4}}});
  };
  const auto dense = [&](Value in, const std::string& name, int64_t takes, int64_t gives) {
    std::vector<int64_t> phases{takes - 1, 1, 0, 1, 1, 1};
    for (int64_t fold = 1; fold < gives; ++fold)
      phases.insert(phases.end(), {takes - 1, 0, 0, 1, 0, 1});
    return Value{&add({in}, name, size * size, phases, {size * size * gives}), 0};
  };
  // Three by three pixels around each, from a store of four rows.
  const auto window = [&](Value in, const std::string& name) {
    const int64_t row = size * beats;
    std::vector<int64_t> phases, stored;
    for (int64_t r = 0; r < size; ++r) {
      phases.insert(phases.end(), {1, 0, 1, 9 * row - 2, 0, 1, 1, 0, 1});
      stored.insert(stored.end(), {r == 0          ? 2 * row
                                   : r + 1 == size ? 0
                                                   : row,
                                   0, 0, 0, 0,
                                   r == 0          ? 0
                                   : r + 1 == size ? 2 * row
                                                   : row});
    }
    Node& node = graph.add(fake::block, {in}, name,
                           {{"phases", phases},
                            {"stored", stored},
                            {"room", 4 * row},
                            {"elements", std::vector<int64_t>{9 * size * row}},
                            {"depth", int64_t{3}}});
    return Value{&node, 0};
  };
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    if (stage > 0) {
      size /= 2;
      const Value in = last;
      last = {&add({in}, "pool" + std::to_string(stage), size * size,
                   {2 * beats, 1, 0, 2 * beats, 1, 1}, {size * size * 2 * beats}),
              0};
      beats *= 2;
    }
    for (int64_t b = 0; b < blocks[stage]; ++b) {
      const std::string name = "s" + std::to_string(stage) + "b" + std::to_string(b);
      Node& fork = graph.add(require_op("fork"), {last}, name + "_fork",
                             {{"branches", int64_t{2}}, {"lanes", int64_t{1}}});
      Value way = dense({&fork, 0}, name + "_a", beats, beats);
      way = dense(window(way, name + "_window"), name + "_b", 9 * beats, beats / 9);
      way = dense(way, name + "_c", beats / 9, beats);
      Node& join = add({way, {&fork, 1}}, name + "_join", 1, {size * size * beats, 3, 1},
                       {size * size * beats});
      join.attr["hold"] = int64_t{2};
      last = {&join, 0};
    }
  }
  graph.outputs.push_back({"y", last});
  return graph;
}

TEST(Queues, ResidualNetworksGetFifosOnTheirShortWays) {
  Graph graph = residual_network(16, 9, {2, 2, 1});
  const QueueResult result = set_queues(graph, Family::generic);
  EXPECT_EQ(result.interval_cycles, 16 * 16 * 9 * 9);
  int fifos = 0;
  for (const Node& node : graph.nodes) {
    if (node.op->name == "fork") {
      EXPECT_LE(node.integer("queue"), 32);  // as large as the smallest memory
    }
    if (!node.name.ends_with("_join_fifo1")) continue;
    EXPECT_EQ(node.op->name, "fifo");
    ++fifos;
    // Two rows of pixels are on the long way before the first result is out.
    EXPECT_GT(node.integer("queue"), 100);
    EXPECT_LT(node.integer("queue"), 1000);
  }
  EXPECT_EQ(fifos, 5);
  EXPECT_EQ(cycles_of(graph), static_cast<double>(result.interval_cycles));
}

// Where not every queue is tried the rate is kept all the same, and the reasons that are given
// hold.
TEST(Queues, LargeNetworksGetWhatPays) {
  Graph graph = residual_network(64, 9, {1, 1});
  const QueueResult result = set_queues(graph, Family::generic);
  EXPECT_FALSE(result.least());
  const auto full = static_cast<double>(result.interval_cycles);
  EXPECT_EQ(cycles_of(graph), full);
  int slower = 0;
  for (const QueueDepth& depth : result.depths) {
    if (depth.reason != QueueDepth::Reason::slower || depth.beats < 4) continue;
    ++slower;
    Node& node = *std::find_if(graph.nodes.begin(), graph.nodes.end(),
                               [&](const Node& other) { return other.name == depth.node; });
    node.attr["queue"] = depth.beats - 1;
    const double less = cycles_of(graph);
    EXPECT_TRUE(less == 0 || less > full) << depth.node;
    node.attr["queue"] = depth.beats;
  }
  EXPECT_GT(slower, 0);
}

// Where each is to be the least, each has its reason when asked again.
TEST(Queues, LargeNetworksGetTheLeastWhenAsked) {
  Graph graph = residual_network(32, 9, {2, 1});
  const QueueResult all =
      set_queues(graph, Family::generic, kAnyLatency, QueueEffort::each_the_least);
  EXPECT_TRUE(all.least());
  EXPECT_EQ(cycles_of(graph), static_cast<double>(all.interval_cycles));
  EXPECT_TRUE(judge_queues(graph, Family::generic).least());
}

}  // namespace
}  // namespace foldstream
