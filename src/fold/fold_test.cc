// SPDX-License-Identifier: Apache-2.0
#include "src/fold/fold.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <random>

#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/rtl/rom.h"
#include "src/sim/cycle_model.h"
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

// Gives as many beats as it takes, each once the one behind it is stored.
std::vector<Type> infer_window(const Node& node) { return {node.in_type(0)}; }
std::vector<Fold> folds_window(const Node& node) { return {{"pe", divisors_of(columns(node))}}; }
Ports ports_window(const Node& node) {
  const int64_t pe = node.integer("pe", 1);
  return {{{pe, 4, columns(node) / pe}}, {{pe, 4, columns(node) / pe}}};
}
Rhythm rhythm_window(const Node& node, Family) {
  const int64_t beats = columns(node) / node.integer("pe", 1);
  Rhythm rhythm{{{1, {{.give = 1, .acquire = 1, .release = 1}}}}, 2, node.integer("queue", 3)};
  if (beats > 1) {
    rhythm.frame = {{1, {{.give = 1, .acquire = 2}}},
                    {beats - 2, {{.give = 1, .acquire = 1, .release = 1}}},
                    {1, {{.give = 1, .release = 2}}}};
    std::erase_if(rhythm.frame, [](const Block& block) { return block.repeat == 0; });
  }
  rhythm.store = Store{std::min<int64_t>(beats, 3), beats};
  return rhythm;
}
Cost cost_window(const Node& node, Family) {
  const int64_t pe = node.integer("pe", 1);
  return {static_cast<double>(20 * pe), static_cast<double>(pe * 5), static_cast<double>(pe % 2)};
}
const Op kWindow{.name = "fake_window",
                 .doc = "a block with a store",
                 .kind = Op::Kind::hardware,
                 .infer = infer_window,
                 .folds = folds_window,
                 .ports = ports_window,
                 .rhythm = rhythm_window,
                 .cost = cost_window};

Node& input_of(Graph& graph, int64_t elements) {
  return graph.add(require_op("input"), {}, "x",
                   {{"type", "u4"}, {"shape", std::vector<int64_t>{1, elements}}});
}

Node& layer(Graph& graph, std::vector<Value> in, const std::string& name, int64_t rows,
            int64_t seed) {
  return graph.add(kLayer, std::move(in), name, {{"rows", rows}, {"seed", seed}});
}

// Every folding there is: what it costs with its stream nodes, and its interval.
struct Folded {
  Cost cost;
  int64_t interval;
  int64_t latency = 0;  // with queues that never fill, where timed
};
Folded judge(const Graph& graph, const Part& part, bool timed = false) {
  Graph whole = graph.clone();
  insert_stream_nodes(whole);
  // The search weighs nodes; like its queues, the bus of the finished design is looked at after it.
  Folded folded{{}, slowest_node(graph, part.family).second};
  for (const Node& node : whole.nodes) folded.cost += node_cost(node, part.family);
  if (!timed) return folded;
  StreamGraph streams = stream_graph(whole, part.family);
  for (size_t link = 0; link < streams.links.size(); ++link) {
    if (!streams.is_ring(link)) streams.links[link].queue = 1000;
  }
  SimOptions once;
  once.frames = 1;
  folded.latency = simulate(streams, once).latency_cycles;
  return folded;
}

std::vector<Folded> all_foldings(Graph& graph, const Part& part, bool timed = false) {
  std::vector<std::pair<Node*, Fold>> dials;
  for (Node& node : graph.nodes) {
    if (node.op->folds == nullptr) continue;
    for (Fold& fold : node.op->folds(node)) dials.push_back({&node, std::move(fold)});
  }
  std::vector<Folded> all;
  std::vector<size_t> at(dials.size(), 0);
  while (true) {
    for (size_t i = 0; i < dials.size(); ++i)
      dials[i].first->attr[dials[i].second.attr] = dials[i].second.legal[at[i]];
    all.push_back(judge(graph, part, timed));
    size_t i = 0;
    while (i < at.size() && ++at[i] == dials[i].second.legal.size()) at[i++] = 0;
    if (i == at.size()) return all;
  }
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Cost kNoBudget{kInfinity, kInfinity, kInfinity, kInfinity, kInfinity};

// The best price of all foldings with at most so many cycles, within a budget.
double brute_force(const std::vector<Folded>& all, int64_t cycles, const Part& part,
                   const Cost& budget = kNoBudget) {
  double best = kInfinity;
  for (const Folded& folded : all) {
    if (folded.interval <= cycles && fits(folded.cost, budget))
      best = std::min(best, price_on(part).of(folded.cost));
  }
  return best;
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
    const std::vector<Folded> all = all_foldings(graph, part);
    for (int64_t cycles : {4, 9, 12, 36}) {
      const double best = brute_force(all, cycles, part);
      const FoldResult result = fold_for_cycles(graph, cycles, part);
      EXPECT_EQ(result.proof(), "proved optimal");
      EXPECT_LE(result.cycles, cycles);
      const Folded folded = judge(graph, part);
      const double price = price_on(part).of(folded.cost);
      EXPECT_EQ(folded.interval, result.cycles);
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
    const std::vector<Folded> all = all_foldings(graph, part);
    for (int64_t cycles : {2, 6, 16}) {
      const FoldResult result = fold_for_cycles(graph, cycles, part);
      EXPECT_EQ(result.proof(), "proved optimal");
      EXPECT_NEAR(price_on(part).of(judge(graph, part).cost), brute_force(all, cycles, part), 1e-9);
    }
  }
}

// Chains, a fork and a join under budgets of every resource, each alone and all at once, some of
// which nothing can keep: the same price as brute force, proved, or an error.
TEST(Fold, BudgetsEqualBruteForce) {
  const Part& part = find_part("xc7z020");
  int possible = 0, impossible = 0, less = 0;
  for (unsigned seed = 0; seed < 8; ++seed) {
    std::mt19937 random(seed);
    Graph graph;
    Node& x = input_of(graph, 4);
    const auto next = [&](std::vector<Value> in, const char* name, int64_t rows) -> Node& {
      return layer(graph, std::move(in), name, rows, static_cast<int64_t>(random() % 1000));
    };
    Node& a = next({{&x, 0}}, "a", 4);
    Node& b = next({{&a, 0}}, "b", 4);
    Node* last = &b;
    if (seed % 2 == 1) last = &next({{&a, 0}, {&b, 0}}, "join", 2);
    graph.outputs.push_back({"y", {last, 0}});
    const std::vector<Folded> all = all_foldings(graph, part);
    for (const int64_t cycles : {2, 4, 16}) {
      std::vector<Folded> quick;
      std::copy_if(all.begin(), all.end(), std::back_inserter(quick),
                   [&](const Folded& folded) { return folded.interval <= cycles; });
      for (int trial = 0; trial < 12; ++trial) {
        SCOPED_TRACE(testing::Message() << seed << ' ' << cycles << ' ' << trial);
        // Around what two foldings drawn at random take.
        Cost budget = kNoBudget;
        const Cost& some = quick[random() % quick.size()].cost;
        const Cost& other = quick[random() % quick.size()].cost;
        double Cost::*const each[] = {&Cost::lut, &Cost::ff, &Cost::bram18, &Cost::dsp};
        for (size_t r = 0; r < 4; ++r) {
          if (trial < 8 && trial % 4 != static_cast<int>(r)) continue;
          budget.*each[r] = std::min(some.*each[r], other.*each[r]);
        }
        const double best = brute_force(all, cycles, part, budget);
        if (best == kInfinity) {
          ++impossible;
          EXPECT_THROW(fold_within(graph, cycles, part, budget), Error);
          continue;
        }
        ++possible;
        const FoldResult result = fold_within(graph, cycles, part, budget);
        EXPECT_EQ(result.proof(), "proved optimal");
        const Folded folded = judge(graph, part);
        EXPECT_TRUE(fits(folded.cost, budget));
        EXPECT_LE(folded.interval, cycles);
        EXPECT_NEAR(price_on(part).of(folded.cost), best, 1e-9);
      }
    }
    // The fastest within a budget.
    for (int trial = 0; trial < 6; ++trial) {
      const Cost budget = all[random() % all.size()].cost;
      int64_t fastest = INT64_MAX;
      for (const Folded& folded : all) {
        if (fits(folded.cost, budget)) fastest = std::min(fastest, folded.interval);
      }
      const FoldResult result = fold_max(graph, part, budget);
      EXPECT_EQ(result.cycles, fastest);
      EXPECT_EQ(result.proof(), "proved optimal");
      EXPECT_TRUE(fits(judge(graph, part).cost, budget));
      EXPECT_NEAR(result.price, brute_force(all, fastest, part, budget), 1e-9);
    }
    // The fastest within less and less.
    FoldMax search(graph.clone(), part, {{}});
    Cost budget = kNoBudget;
    while (true) {
      int64_t fastest = INT64_MAX;
      for (const Folded& folded : all) {
        if (fits(folded.cost, budget)) fastest = std::min(fastest, folded.interval);
      }
      if (fastest == INT64_MAX) break;
      const FoldResult result = search.fold(graph, budget);
      EXPECT_EQ(result.cycles, fastest);
      EXPECT_EQ(result.proof(), "proved optimal");
      const Cost taken = judge(graph, part).cost;
      EXPECT_TRUE(fits(taken, budget));
      EXPECT_NEAR(result.price, brute_force(all, fastest, part, budget), 1e-9);
      double Cost::*const each[] = {&Cost::lut, &Cost::ff, &Cost::bram18, &Cost::dsp};
      double Cost::*const resource = each[random() % 4];
      budget.*resource = std::max(0.0, taken.*resource - 1);
      if (taken.*resource == 0) budget.lut = taken.lut - 1;
      ++less;
    }
    EXPECT_THROW(search.fold(graph, budget), Error);
  }
  EXPECT_GT(less, 20);
  EXPECT_GT(possible, 100);
  EXPECT_GT(impossible, 10);
}

// Budgets of latency, alone and with rates and budgets of resources, on chains with stores, forks
// and joins: the same price as brute force, proved, or an error that names the least latency there
// is.
TEST(Fold, LatencyEqualsBruteForce) {
  const Part& part = find_part("xc7z020");
  int possible = 0, impossible = 0;
  for (unsigned seed = 0; seed < 8; ++seed) {
    std::mt19937 random(seed);
    Graph graph;
    Node& x = input_of(graph, 4);
    const auto next = [&](std::vector<Value> in, const char* name, int64_t rows) -> Node& {
      return layer(graph, std::move(in), name, rows, static_cast<int64_t>(random() % 1000));
    };
    Node* last = &next({{&x, 0}}, "a", 4);
    if (seed % 4 == 0) last = &next({{last, 0}}, "b", 6);
    if (seed % 4 == 1) last = &next({{last, 0}, {&next({{last, 0}}, "b", 4), 0}}, "join", 2);
    if (seed % 4 == 2) last = &graph.add(kWindow, {{last, 0}}, "window", {});
    if (seed % 4 == 3) {
      Node& window = graph.add(kWindow, {{&x, 0}}, "window", {});
      graph.outputs.push_back({"z", {&window, 0}});
    }
    if (seed % 4 != 1) last = &next({{last, 0}}, "c", 3);
    graph.outputs.push_back({"y", {last, 0}});
    const std::vector<Folded> all = all_foldings(graph, part, true);
    const auto least_of = [&](int64_t cycles, const Cost& budget) {
      int64_t least = INT64_MAX;
      for (const Folded& folded : all) {
        if (folded.interval <= cycles && fits(folded.cost, budget))
          least = std::min(least, folded.latency);
      }
      return least;
    };
    for (int trial = 0; trial < 24; ++trial) {
      SCOPED_TRACE(testing::Message() << seed << ' ' << trial);
      const int64_t latency = std::max<int64_t>(
          1, all[random() % all.size()].latency - static_cast<int64_t>(random() % 8));
      const int64_t cycles = trial % 2 == 0 ? INT64_MAX : all[random() % all.size()].interval;
      Cost budget = kNoBudget;
      if (trial % 3 == 0) budget.lut = all[random() % all.size()].cost.lut;
      if (trial % 4 == 0) budget.ff = all[random() % all.size()].cost.ff;
      double best = kInfinity;
      int64_t fastest = INT64_MAX;
      for (const Folded& folded : all) {
        if (folded.latency > latency || !fits(folded.cost, budget)) continue;
        fastest = std::min(fastest, folded.interval);
        if (folded.interval <= cycles) best = std::min(best, price_on(part).of(folded.cost));
      }
      const int64_t least = least_of(cycles, budget);
      if (least < INT64_MAX) {
        const FoldResult result = fold_quickest(graph, cycles, part, budget);
        EXPECT_EQ(result.latency, least);
        EXPECT_EQ(result.proof(), "proved optimal");
        const Folded folded = judge(graph, part, true);
        EXPECT_EQ(folded.latency, least);
        EXPECT_LE(folded.interval, cycles);
        EXPECT_TRUE(fits(folded.cost, budget));
      }
      if (fastest < INT64_MAX) {
        const FoldResult result = fold_max(graph, part, budget, {{}}, latency);
        EXPECT_EQ(result.cycles, fastest);
        EXPECT_EQ(result.proof(), "proved optimal");
        EXPECT_LE(judge(graph, part, true).latency, latency);
      }
      if (best == kInfinity) {
        ++impossible;
        try {
          fold_within(graph, cycles, part, budget, {{}}, latency);
          FAIL();
        } catch (const Error& error) {
          const int64_t whatever = least_of(cycles, kNoBudget);
          const std::string nearest =
              whatever > latency
                  ? "the nearest that can be reached by any folding is " + std::to_string(whatever)
                  : "the nearest that can be reached within the budgets is " +
                        std::to_string(least);
          if (whatever > latency || least < INT64_MAX) {
            EXPECT_EQ(error.help().rfind(nearest + " cycles", 0), 0u)
                << error.what() << error.help();
          }
        }
        continue;
      }
      ++possible;
      const FoldResult result = fold_within(graph, cycles, part, budget, {{}}, latency);
      EXPECT_EQ(result.proof(), "proved optimal");
      const Folded folded = judge(graph, part, true);
      EXPECT_EQ(folded.latency, result.latency);
      EXPECT_LE(folded.latency, latency);
      EXPECT_LE(folded.interval, cycles);
      EXPECT_TRUE(fits(folded.cost, budget));
      EXPECT_NEAR(price_on(part).of(folded.cost), best, 1e-9);
    }
  }
  EXPECT_GT(possible, 50);
  EXPECT_GT(impossible, 20);
}

// A layer with a memory of weights, deep enough to be block memory.
std::vector<MemoryShape> memories_stored(const Node& node, Family) {
  const int64_t lanes = node.integer("pe", 1) * node.integer("simd", 1);
  return {{.name = "weights",
           .width = 25 * lanes,
           .depth = 600 * rows(node) * columns(node) / lanes,
           .reads = 2}};
}
Cost cost_stored(const Node& node, Family family) {
  Cost cost = cost_layer(node, family);
  const MemoryShape memory = memories_stored(node, family)[0];
  if (memory_place(node) == MemoryPlace::inside) {
    cost += plan_rom(memory.width, memory.depth).cost;
  }
  return cost;
}
const Op kStored{.name = "fake_stored",
                 .doc = "the same with a memory",
                 .kind = Op::Kind::hardware,
                 .infer = infer_layer,
                 .folds = folds_layer,
                 .ports = ports_layer,
                 .rhythm = rhythm_layer,
                 .cost = cost_stored,
                 .memories = memories_stored,
                 .finn_name = "MVAU"};

// Where weights are is part of the optimum: the first level with a folding, and in it the best of
// all foldings and places.
TEST(Fold, PlacesOfWeightsEqualBruteForce) {
  const Part& part = find_part("xczu7ev");
  const WeightLevels levels{{.ultra = true},
                            {.ultra = true, .loads = true},
                            {.ultra = true, .loads = true, .streamed = 260}};
  struct Placed {
    Folded folded;
    size_t level;
  };
  std::mt19937 random(3);
  std::vector<int> chosen(levels.size() + 1, 0);
  int streams = 0;
  for (int64_t seed = 0; seed < 4; ++seed) {
    Graph graph;
    Node& x = input_of(graph, 4);
    const auto stored = [&](Node& in, const char* name, int64_t noise) -> Node& {
      return graph.add(kStored, {{&in, 0}}, name, {{"rows", int64_t{4}}, {"seed", noise}});
    };
    Node& a = stored(x, "a", seed);
    Node& b = stored(a, "b", seed + 7);
    graph.outputs.push_back({"y", {&b, 0}});
    std::vector<Placed> all;
    const char* places[] = {"inside", "loaded", "streamed"};
    for (size_t first = 0; first < 3; ++first) {
      for (size_t second = 0; second < 3; ++second) {
        a.attr["memory"] = std::string(places[first]);
        b.attr["memory"] = std::string(places[second]);
        for (const Folded& folded : all_foldings(graph, part))
          all.push_back({folded, std::max(first, second)});
      }
    }
    for (int trial = 0; trial < 12; ++trial) {
      SCOPED_TRACE(testing::Message() << seed << ' ' << trial);
      Cost budget = kNoBudget;
      budget.bram18 = static_cast<double>(random() % 60);
      budget.uram = static_cast<double>(random() % 8);
      const int64_t cycles = trial % 2 == 0 ? 16 : 4;
      const auto best_of = [&](size_t level) {
        double best = kInfinity;
        for (const Placed& one : all) {
          Cost most = budget;
          most.stream = levels[level].streamed;
          if (one.level > level || one.folded.interval > cycles ||
              one.folded.cost.stream > most.stream || !fits(one.folded.cost, most)) {
            continue;
          }
          double price = price_on(part).of(one.folded.cost);
          if (most.stream > 0) price += one.folded.cost.stream / most.stream;
          best = std::min(best, price);
        }
        return best;
      };
      size_t level = 0;
      while (level < levels.size() && best_of(level) == kInfinity) ++level;
      ++chosen[level];
      a.attr.erase("memory"), b.attr.erase("memory");
      if (level == levels.size()) {
        EXPECT_THROW(fold_within(graph, cycles, part, budget, levels), Error);
        continue;
      }
      const FoldResult result = fold_within(graph, cycles, part, budget, levels);
      EXPECT_EQ(result.proof(), "proved optimal");
      EXPECT_NEAR(result.price, best_of(level), 1e-9);
      const Cost found = judge(graph, part).cost;
      EXPECT_TRUE(fits(found, budget));
      EXPECT_LE(found.stream, levels[level].streamed);
    }
    // The fastest with less and less block memory, whose weights go to other places one after the
    // other: what was found before makes no difference.
    a.attr.erase("memory"), b.attr.erase("memory");
    FoldMax search(graph.clone(), part, levels);
    Cost budget = kNoBudget;
    budget.uram = 4;
    for (budget.bram18 = 50; budget.bram18 > 0; budget.bram18 -= 6) {
      const FoldResult again = search.fold(graph, budget);
      a.attr.erase("memory"), b.attr.erase("memory");
      const FoldResult once = fold_max(graph, part, budget, levels);
      a.attr.erase("memory"), b.attr.erase("memory");
      EXPECT_EQ(again.cycles, once.cycles);
      EXPECT_NEAR(again.price, once.price, 1e-9);
      EXPECT_EQ(again.proof(), "proved optimal");
      streams += again.cost.stream > 0 ? 1 : 0;
    }
    // The front under the last of these budgets.
    budget.bram18 += 6;
    const int64_t fastest = fold_max(graph, part, budget, levels).cycles;
    a.attr.erase("memory"), b.attr.erase("memory");
    const std::vector<FrontPoint> front = fold_front(graph, part, budget, levels, 100);
    ASSERT_FALSE(front.empty());
    EXPECT_EQ(front.front().cycles, fastest);
    for (const FrontPoint& point : front) {
      a.attr.erase("memory"), b.attr.erase("memory");
      for (Node* node : {&a, &b}) {
        for (const auto& [name, attrs] : point.folding) {
          if (name != node->name) continue;
          for (const auto& [attr, value] : attrs) node->attr[attr] = value;
        }
      }
      const Folded found = judge(graph, part);
      EXPECT_EQ(found.interval, point.cycles);
      EXPECT_EQ(amounts(found.cost), amounts(point.cost));
      EXPECT_TRUE(fits(found.cost, budget));
    }
    a.attr.erase("memory"), b.attr.erase("memory");
  }
  EXPECT_GT(streams, 0);
  for (const int count : chosen) EXPECT_GT(count, 0);
}

TEST(Fold, BudgetsThatCannotBeKeptNameTheNearest) {
  const Part& part = find_part("xc7z020");
  Graph graph;
  Node& x = input_of(graph, 16);
  Node& a = layer(graph, {{&x, 0}}, "a", 16, 4);
  graph.outputs.push_back({"y", {&a, 0}});
  Cost budget = kNoBudget;
  budget.lut = 200;
  try {
    fold_within(graph, 4, part, budget);
    FAIL();
  } catch (const Error& error) {
    // 64 products at once of 5 LUT each, and the least noise.
    EXPECT_EQ(std::string(error.what()).rfind("a frame every 4 cycles takes 3", 0), 0u)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("LUT at least, the budget is 200"), std::string::npos);
    EXPECT_NE(error.help().find("the nearest rate within the budgets is a frame every 8 cycles"),
              std::string::npos)
        << error.help();
  }
}

// The front has no point that another beats, and for each interval the least of each resource.
TEST(Fold, TheFrontIsThatOfAllFoldings) {
  const Part& part = find_part("xc7z020");
  Graph graph;
  Node& x = input_of(graph, 4);
  Node& a = layer(graph, {{&x, 0}}, "a", 4, 3);
  Node& b = layer(graph, {{&a, 0}}, "b", 4, 9);
  graph.outputs.push_back({"y", {&b, 0}});
  const std::vector<Folded> all = all_foldings(graph, part);
  const std::vector<FrontPoint> front = fold_front(graph, part, whole_of(part), {{}}, 1000);
  ASSERT_GT(front.size(), 3u);
  for (const FrontPoint& point : front) {
    double least_lut = kInfinity, least_price = kInfinity;
    for (const Folded& folded : all) {
      if (folded.interval > point.cycles) continue;
      least_lut = std::min(least_lut, folded.cost.lut);
      least_price = std::min(least_price, price_on(part).of(folded.cost));
      const bool beaten = folded.interval <= point.cycles && folded.cost.lut < point.cost.lut &&
                          folded.cost.ff < point.cost.ff &&
                          folded.cost.bram18 < point.cost.bram18 &&
                          folded.cost.dsp < point.cost.dsp;
      EXPECT_FALSE(beaten);
    }
    double front_lut = kInfinity, front_price = kInfinity;
    for (const FrontPoint& other : front) {
      if (other.cycles > point.cycles) continue;
      front_lut = std::min(front_lut, other.cost.lut);
      front_price = std::min(front_price, price_on(part).of(other.cost));
    }
    EXPECT_NEAR(front_lut, least_lut, 1e-9);
    EXPECT_NEAR(front_price, least_price, 1e-9);
  }
}

TEST(Fold, TheHighestRateThatFits) {
  const Part& part = find_part("xc7z020");
  Graph graph;
  Node& x = input_of(graph, 784);
  Node& a = layer(graph, {{&x, 0}}, "a", 64, 2);
  Node& b = layer(graph, {{&a, 0}}, "b", 64, 4);
  graph.outputs.push_back({"y", {&b, 0}});
  const FoldResult whole = fold_max(graph, part, whole_of(part, 0.8));
  EXPECT_TRUE(fits(whole.cost, whole_of(part, 0.8)));
  EXPECT_LE(whole.cost.lut, 0.8 * 53200);
  EXPECT_EQ(whole.cycles, 7);  // 64 x 784 / 7 at 5 LUT each: the next step up does not fit
  EXPECT_EQ(whole.cycles_bound, 7);
  EXPECT_EQ(whole.proof(), "proved optimal");
  const Part& small = find_part("iCE40HX8K");
  EXPECT_THROW(fold_max(graph, small, whole_of(small, 0.001)), Error);
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
