// SPDX-License-Identifier: Apache-2.0
#include "src/sim/cycle_model.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <random>

#include "src/sim/fake_op.h"
#include "src/sim/queue_growth.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// The stall policy word by word, one cycle after the other: what simulate() must equal.
struct Reference {
  struct Queue {
    std::deque<int64_t> visible;
    int64_t credits = 0;
    int64_t ahead = 0;  // beats needed by steps so far and not yet freed
    // The beat that a step needs which needs so many more.
    bool has(int64_t more, int64_t cycle) const {
      const auto count = static_cast<size_t>(ahead + more);
      return visible.size() >= count && visible[count - 1] <= cycle;
    }
  };
  std::vector<std::vector<int64_t>> visible, taken;
  std::vector<Activity> activity;
  bool finished = false;

  Reference(const StreamGraph& graph, const SimOptions& options, int64_t limit) {
    const size_t blocks = graph.blocks.size();
    visible.resize(graph.links.size()), taken.resize(graph.links.size());
    activity.resize(blocks);
    std::vector<std::vector<Phase>> program(blocks);  // single steps
    for (size_t i = 0; i < blocks; ++i) {
      for (const Block& block : graph.blocks[i].rhythm.frame) {
        for (int64_t r = 0; r < block.repeat; ++r) {
          for (const Phase& phase : block.phases) {
            for (int64_t s = 0; s < phase.steps; ++s)
              program[i].push_back({1, phase.take, phase.give, phase.acquire, phase.release});
          }
        }
      }
    }
    std::vector<int64_t> done(blocks, 0);  // steps
    std::vector<char> offering(blocks, 0);
    std::vector<Queue> queues(graph.links.size());
    for (size_t i = 0; i < queues.size(); ++i) queues[i].credits = graph.links[i].queue;
    for (int64_t cycle = 0; cycle < limit && !finished; ++cycle) {
      for (size_t s = 0; s < graph.sources.size(); ++s) {
        const size_t i = graph.sources[s];
        const int64_t beats = options.frames * static_cast<int64_t>(program[i].size());
        if (offering[i] || done[i] == beats) continue;
        if (options.offer && !options.offer(s, cycle)) continue;
        offering[i] = 1;
        const size_t link = graph.blocks[i].out[0];
        queues[link].visible.push_back(cycle);
        visible[link].push_back(cycle);
      }
      const std::vector<Queue> before = queues;  // what the registers hold in this cycle
      for (size_t i = 0; i < blocks; ++i) {
        const StreamBlock& block = graph.blocks[i];
        if (block.kind == StreamBlock::Kind::source) continue;
        const Phase& step = program[i][static_cast<size_t>(done[i]) % program[i].size()];
        bool fed = true, room = true;
        for (size_t p = 0; p < block.in.size(); ++p) {
          const int64_t needs = block.needs(step, p);
          if (needs > 0) fed = fed && before[block.in[p]].has(needs, cycle);
        }
        for (size_t p = 0; p < block.out.size(); ++p) {
          if (step.give >> p & 1) room = room && before[block.out[p]].credits > 0;
        }
        if (block.kind == StreamBlock::Kind::sink && options.accept) {
          const auto ordinal = static_cast<size_t>(
              std::find(graph.sinks.begin(), graph.sinks.end(), i) - graph.sinks.begin());
          room = options.accept(ordinal, cycle);
        }
        if (!fed || !room) {
          ++(fed ? activity[i].blocked : activity[i].starved);
          continue;
        }
        ++activity[i].busy;
        ++done[i];
        for (size_t p = 0; p < block.in.size(); ++p) {
          Queue& queue = queues[block.in[p]];
          queue.ahead += block.needs(step, p) - block.frees(step, p);
          for (int64_t beats = block.frees(step, p); beats > 0; --beats) {
            queue.visible.pop_front();
            ++queue.credits;
            taken[block.in[p]].push_back(cycle);
          }
          if (block.frees(step, p) == 0) continue;
          const size_t from = graph.links[block.in[p]].from;
          if (graph.blocks[from].kind == StreamBlock::Kind::source) {
            offering[from] = 0;
            ++done[from];
          }
        }
        for (size_t p = 0; p < block.out.size(); ++p) {
          if (!(step.give >> p & 1)) continue;
          --queues[block.out[p]].credits;
          queues[block.out[p]].visible.push_back(cycle + block.rhythm.depth);
          visible[block.out[p]].push_back(cycle + block.rhythm.depth);
        }
      }
      finished = true;
      for (size_t sink : graph.sinks) {
        finished =
            finished && done[sink] >= options.frames * static_cast<int64_t>(program[sink].size());
      }
    }
  }
};

using Random = std::mt19937;

int64_t pick(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

// A random order of steps that takes `takes[i]` beats of input i and gives `gives[o]` of output o.
// Results come no earlier than their share of the operands, as in any operator.
std::vector<int64_t> random_phases(Random& random, const std::vector<int64_t>& takes,
                                   const std::vector<int64_t>& gives, bool causal) {
  std::vector<int64_t> taken(takes.size()), given(gives.size()), flat;
  while (taken != takes || given != gives) {
    int64_t take = 0, give = 0;
    double share = 1;
    for (size_t i = 0; i < takes.size(); ++i) {
      if (taken[i] < takes[i] && pick(random, 0, 2) > 0) {
        take |= int64_t{1} << i;
        ++taken[i];
      }
      share = std::min(share, static_cast<double>(taken[i]) / static_cast<double>(takes[i]));
    }
    for (size_t o = 0; o < gives.size(); ++o) {
      const bool due = static_cast<double>(given[o] + 1) <= share * static_cast<double>(gives[o]);
      if (given[o] < gives[o] && (due || !causal) && pick(random, 0, 2) > 0) {
        give |= int64_t{1} << o;
        ++given[o];
      }
    }
    flat.insert(flat.end(), {1, take, give});
  }
  return flat;
}

// Moves operand 0 into a store: steps need its beats in the order in which they would have taken
// them, and free them later, several at a time.
void add_store(Random& random, std::vector<int64_t>& phases,
               std::map<std::string, Attr, std::less<>>& attr) {
  std::vector<int64_t> stored;
  int64_t held = 0, most = 0;
  for (size_t i = 0; i < phases.size(); i += 3) {
    int64_t acquire = 0, release = 0;
    if (phases[i + 1] & 1) {
      acquire = 1, phases[i + 1] &= ~int64_t{1};
      most = std::max(most, ++held);
      release = i + 3 == phases.size() ? held : pick(random, 0, held);
      held -= release;
    } else if (i + 3 == phases.size()) {
      release = held;
    }
    stored.insert(stored.end(), {acquire, release});
  }
  attr["stored"] = stored;
  attr["room"] = most + pick(random, 0, 2);
}

// A random graph of blocks with one to three operands and results.
Graph random_graph(Random& random) {
  Graph graph;
  graph.name = "random";
  struct Free {
    Value value;
    int64_t beats;  // as given; 0 for an input, whose user decides
  };
  std::vector<Free> free;
  const auto add_input = [&] {
    Node& input = graph.add(require_op("input"), {}, "in" + std::to_string(graph.nodes.size()),
                            {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 12}}});
    free.push_back({{&input, 0}, 0});
  };
  for (int64_t i = pick(random, 1, 2); i > 0; --i) add_input();
  for (int64_t n = pick(random, 1, 7); n > 0; --n) {
    std::vector<Value> in;
    std::vector<int64_t> takes, gives, elements;
    for (int64_t i = std::min<int64_t>(pick(random, 1, 3), static_cast<int64_t>(free.size()));
         i > 0; --i) {
      const auto at = free.begin() + pick(random, 0, static_cast<int64_t>(free.size()) - 1);
      in.push_back(at->value);
      takes.push_back(at->beats > 0 ? at->beats
                                    : std::vector<int64_t>{1, 2, 3, 4, 6}[pick(random, 0, 4)]);
      free.erase(at);
    }
    for (int64_t o = pick(random, 1, 2); o > 0; --o) {
      gives.push_back(std::vector<int64_t>{1, 2, 3, 4, 6}[pick(random, 0, 4)]);
      elements.push_back(12);
    }
    std::vector<int64_t> phases = random_phases(random, takes, gives, pick(random, 0, 4) > 0);
    if (pick(random, 0, 3) == 0) phases.insert(phases.begin(), {pick(random, 1, 5), 0, 0});
    const int64_t depth = pick(random, 1, 6);
    std::map<std::string, Attr, std::less<>> attr{{"elements", elements},
                                                  {"depth", depth},
                                                  {"queue", pick(random, 1, depth + 2)},
                                                  {"hold", pick(random, 0, 3) / 2 * 2}};
    if (pick(random, 0, 2) == 0) add_store(random, phases, attr);
    attr["phases"] = phases;
    Node& node = graph.add(fake::block, std::move(in), "n" + std::to_string(graph.nodes.size()),
                           std::move(attr));
    for (size_t o = 0; o < gives.size(); ++o)
      free.push_back({{&node, static_cast<int>(o)}, gives[o]});
  }
  for (const Free& value : free) {
    if (value.value.node->op->kind == Op::Kind::hardware)
      graph.outputs.push_back({"out" + std::to_string(graph.outputs.size()), value.value});
  }
  return graph;
}

TEST(CycleModel, EqualsTheStallPolicyCycleByCycle) {
#ifdef __SANITIZE_ADDRESS__
  constexpr int kGraphs = 150;  // the reference takes 25 times as long there
#else
  constexpr int kGraphs = 600;
#endif
  int finished = 0, stuck = 0;
  for (unsigned seed = 0; seed < kGraphs; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Graph graph = random_graph(random);
    const StreamGraph streams = stream_graph(graph, Family::generic);
    SimOptions options;
    options.frames = pick(random, 1, 6);
    options.record = true;
    const auto pattern = [](unsigned salt, int64_t percent) {
      return [=](size_t who, int64_t cycle) {
        uint64_t hash =
            (uint64_t{salt} << 40) ^ (uint64_t{who} << 32) ^ static_cast<uint64_t>(cycle);
        hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
        hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
        return static_cast<int64_t>((hash ^ (hash >> 31)) % 100) < percent;
      };
    };
    if (seed % 3 != 0) options.offer = pattern(seed, pick(random, 20, 100));
    if (seed % 3 != 1) options.accept = pattern(seed + 1, pick(random, 20, 100));
    const SimResult result = simulate(streams, options);
    const Reference expected(streams, options, 20000);
    ASSERT_EQ(result.deadlock.has_value(), !expected.finished);
    if (result.deadlock) {
      ++stuck;
      EXPECT_FALSE(result.deadlock->circle.empty());
      continue;
    }
    ++finished;
    for (size_t link = 0; link < streams.links.size(); ++link) {
      if (streams.blocks[streams.links[link].from].kind == StreamBlock::Kind::source) {
        // Inputs that no output waits for may still be on offer when the reference stops.
        ASSERT_LE(expected.taken[link].size(), result.taken[link].size());
      }
      // The reference stops with the last output; the model also finishes what that leaves over.
      ASSERT_TRUE(std::equal(expected.taken[link].begin(), expected.taken[link].end(),
                             result.taken[link].begin()))
          << streams.producer(link);
      const size_t shown = std::min(expected.visible[link].size(), result.visible[link].size());
      ASSERT_TRUE(std::equal(expected.visible[link].begin(),
                             expected.visible[link].begin() + static_cast<std::ptrdiff_t>(shown),
                             result.visible[link].begin()));
    }
    for (size_t sink : streams.sinks) {
      const auto count = [&](int64_t Activity::*field) {
        return std::pair(result.blocks[sink].*field, expected.activity[sink].*field);
      };
      // The reference counts on until the last sink ends; and a block that gives before it takes
      // lets a sink run ahead.
      if (streams.sinks.size() > 1) continue;
      if (count(&Activity::busy).first > count(&Activity::busy).second) continue;
      EXPECT_EQ(count(&Activity::busy).first, count(&Activity::busy).second);
      EXPECT_EQ(count(&Activity::starved).first, count(&Activity::starved).second);
      EXPECT_EQ(count(&Activity::blocked).first, count(&Activity::blocked).second);
    }
  }
  EXPECT_GT(finished, kGraphs / 2);
  EXPECT_GT(stuck, kGraphs / 30);
}

TEST(CycleModel, SkippingTheSteadyStateChangesNothing) {
  int skipped = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Graph graph = random_graph(random);
    const StreamGraph streams = stream_graph(graph, Family::generic);
    SimOptions whole, skip;
    whole.frames = skip.frames = 50;
    whole.record = true;
    const SimResult expected = simulate(streams, whole);
    const SimResult result = simulate(streams, skip);
    ASSERT_EQ(result.deadlock.has_value(), expected.deadlock.has_value());
    if (result.deadlock) continue;
    skipped += result.period_frames > 0 ? 1 : 0;
    EXPECT_EQ(result.frame_in, expected.frame_in);
    EXPECT_EQ(result.frame_out, expected.frame_out);
    EXPECT_EQ(result.cycles, expected.cycles);
    for (size_t i = 0; i < streams.blocks.size(); ++i) {
      if (streams.blocks[i].kind == StreamBlock::Kind::source) continue;
      EXPECT_EQ(result.blocks[i].busy, expected.blocks[i].busy);
      EXPECT_EQ(result.blocks[i].starved, expected.blocks[i].starved);
      EXPECT_EQ(result.blocks[i].blocked, expected.blocks[i].blocked);
    }
  }
  EXPECT_GT(skipped, 150);
}

Node& add_input(Graph& graph, const std::string& name, int64_t elements) {
  return graph.add(require_op("input"), {}, name,
                   {{"type", "u1"}, {"shape", std::vector<int64_t>{1, elements}}});
}

// What one block says of the rate is what the steady state shows, for every block and for intervals
// around that of the slowest.
TEST(CycleModel, EachBlockTellsWhetherARateIsKept) {
  std::array<int, 4> count{};
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Graph graph = random_graph(random);
    const StreamGraph streams = stream_graph(graph, Family::generic);
    SimOptions options;
    options.frames = 300;
    const SimResult steady = simulate(streams, options);
    if (!steady.deadlock && steady.period_frames == 0) continue;  // parts with rates of their own
    int64_t slowest = 0;
    for (const StreamBlock& block : streams.blocks)
      slowest = std::max(slowest, block.rhythm.steps());
    for (const int64_t interval : {slowest, slowest + pick(random, 1, 20)}) {
      for (size_t b = 0; b < streams.blocks.size(); ++b) {
        const StreamBlock::Kind kind = streams.blocks[b].kind;
        if (kind == StreamBlock::Kind::source || kind == StreamBlock::Kind::sink) continue;
        const Pace found = pace(streams, b, interval, 50, 1'000'000);
        ++count[static_cast<size_t>(found.outcome)];
        const int64_t allowed = steady.period_frames * interval;
        switch (found.outcome) {
          case Pace::Outcome::late:
            EXPECT_GT(found.cycles, 0);
            EXPECT_TRUE(steady.deadlock || steady.period_cycles > allowed);
            break;
          case Pace::Outcome::stops:
            EXPECT_TRUE(steady.deadlock.has_value());
            break;
          case Pace::Outcome::keeps:
            EXPECT_TRUE(!steady.deadlock && steady.period_cycles <= allowed);
            break;
          case Pace::Outcome::unknown:
            break;
        }
      }
    }
  }
  EXPECT_GT(count[0], 200);
  EXPECT_GT(count[1], 50);
  EXPECT_GT(count[2], 200);
  EXPECT_LT(count[3], (count[0] + count[2]) / 20);
}

TEST(CycleModel, LatencyAndIntervalByHand) {
  // Takes four beats, then gives one, three cycles later: 4 + 3 - 1 cycles from first to last.
  Graph graph;
  Node& input = add_input(graph, "x", 4);
  Node& sum = graph.add(fake::block, {{&input, 0}}, "sum",
                        {{"phases", std::vector<int64_t>{3, 1, 0, 1, 1, 1}},
                         {"elements", std::vector<int64_t>{1}},
                         {"depth", int64_t{3}}});
  graph.outputs.push_back({"y", {&sum, 0}});
  SimOptions options;
  options.frames = 1000;
  const SimResult result = simulate(stream_graph(graph, Family::generic), options);
  EXPECT_EQ(result.latency_cycles, 6);
  EXPECT_EQ(result.interval_cycles, 4);
  EXPECT_EQ(result.cycles, 6 + 999 * 4 + 1);
  EXPECT_EQ(result.period_frames, 1);
  EXPECT_EQ(result.period_cycles, 4);
}

TEST(CycleModel, AStoreByHand) {
  // A window of three over four beats, with one pixel of padding at each end: the first window
  // needs two beats and keeps both, the last needs none and frees the two that are left.
  Graph graph;
  Node& input = add_input(graph, "x", 4);
  Node& window = graph.add(fake::block, {{&input, 0}}, "window",
                           {{"phases", std::vector<int64_t>{1, 0, 1, 2, 0, 1, 1, 0, 1}},
                            {"stored", std::vector<int64_t>{2, 0, 1, 1, 0, 2}},
                            {"room", int64_t{3}},
                            {"elements", std::vector<int64_t>{12}},
                            {"depth", int64_t{2}}});
  graph.outputs.push_back({"y", {&window, 0}});
  const StreamGraph streams = stream_graph(graph, Family::generic);
  SimOptions options;
  options.frames = 2;
  options.record = true;
  const SimResult result = simulate(streams, options);
  // Beats 0 to 2 are written in cycles 0 to 2, beat 3 in 4: the step of cycle 3 frees its place.
  // That of cycle 5 frees the place of beat 4, and that of cycle 6 two more.
  const size_t in = streams.blocks[streams.sources[0]].out[0];
  const size_t out = streams.blocks[streams.sinks[0]].in[0];
  EXPECT_EQ(result.taken[in], (std::vector<int64_t>{0, 1, 2, 4, 6, 7, 8, 10}));
  EXPECT_EQ(result.visible[out], (std::vector<int64_t>{4, 5, 7, 8, 10, 11, 13, 14}));
  EXPECT_EQ(result.latency_cycles, 8);
  EXPECT_EQ(result.interval_cycles, 6);
  ASSERT_EQ(streams.blocks.size(), 4u);  // the writer is one of them, and belongs to the node
  EXPECT_EQ(streams.blocks[1].kind, StreamBlock::Kind::writer);
  EXPECT_EQ(streams.consumer(in), "window");
  EXPECT_TRUE(streams.is_ring(streams.blocks[2].in[0]));
  // With one place more frames overlap without a gap.
  window.attr["room"] = int64_t{4};
  EXPECT_EQ(simulate(stream_graph(graph, Family::generic), options).interval_cycles, 4);
}

TEST(CycleModel, AHoldingRegisterIsAStoreOfTwoBeats) {
  // One operand comes three cycles late; the other fills its two places and then waits.
  Graph graph;
  Node& x = add_input(graph, "x", 4);
  Node& y = add_input(graph, "y", 4);
  Node& late = graph.add(fake::block, {{&y, 0}}, "late",
                         {{"phases", std::vector<int64_t>{4, 1, 1}},
                          {"elements", std::vector<int64_t>{4}},
                          {"depth", int64_t{3}},
                          {"queue", int64_t{4}}});
  Node& add = graph.add(fake::block, {{&x, 0}, {&late, 0}}, "add",
                        {{"phases", std::vector<int64_t>{4, 3, 1}},
                         {"elements", std::vector<int64_t>{4}},
                         {"hold", int64_t{2}}});
  graph.outputs.push_back({"sum", {&add, 0}});
  const StreamGraph streams = stream_graph(graph, Family::generic);
  SimOptions options;
  options.record = true;
  options.frames = 1;
  const SimResult result = simulate(streams, options);
  EXPECT_EQ(result.taken[streams.blocks[streams.sources[1]].out[0]],
            (std::vector<int64_t>{0, 1, 5, 6}));
  EXPECT_EQ(result.visible[streams.blocks[streams.sinks[0]].in[0]],
            (std::vector<int64_t>{5, 6, 7, 8}));
}

// However long, it takes no more memory than the beats of the frames.
TEST(CycleModel, AQueueLongerThanAllFramesIsNeverFull) {
  std::vector<int64_t> cycles;
  for (const int64_t queue : {int64_t{64}, int64_t{1} << 50}) {
    Graph graph;
    Node& x = add_input(graph, "x", 8);
    Node& fast = graph.add(fake::block, {{&x, 0}}, "fast",
                           {{"phases", std::vector<int64_t>{8, 1, 1}},
                            {"elements", std::vector<int64_t>{8}},
                            {"queue", queue}});
    Node& slow = graph.add(fake::block, {{&fast, 0}}, "slow",
                           {{"phases", std::vector<int64_t>{8, 1, 1, 9, 0, 0}},
                            {"elements", std::vector<int64_t>{8}}});
    graph.outputs.push_back({"y", {&slow, 0}});
    SimOptions options;
    options.frames = 4;
    cycles.push_back(simulate(stream_graph(graph, Family::generic), options).cycles);
  }
  EXPECT_EQ(cycles[0], cycles[1]);
}

TEST(CycleModel, ADeadlockNamesTheQueueThatMustGrow) {
  // One branch of the fork needs all eight beats before it gives, the other holds only two.
  Graph graph;
  Node& input = add_input(graph, "x", 8);
  Node& fork = graph.add(fake::block, {{&input, 0}}, "fork",
                         {{"phases", std::vector<int64_t>{8, 1, 3}},
                          {"elements", std::vector<int64_t>{8, 8}},
                          {"queue", int64_t{2}}});
  Node& slow = graph.add(
      fake::block, {{&fork, 0}}, "slow",
      {{"phases", std::vector<int64_t>{8, 1, 0, 8, 0, 1}}, {"elements", std::vector<int64_t>{8}}});
  Node& join =
      graph.add(fake::block, {{&slow, 0}, {&fork, 1}}, "join",
                {{"phases", std::vector<int64_t>{8, 3, 1}}, {"elements", std::vector<int64_t>{8}}});
  graph.outputs.push_back({"y", {&join, 0}});
  const StreamGraph streams = stream_graph(graph, Family::generic);
  const SimResult result = simulate(streams, {});
  ASSERT_TRUE(result.deadlock.has_value());
  EXPECT_EQ(result.frames, 0);
  ASSERT_EQ(result.deadlock->full.size(), 1u);
  EXPECT_EQ(streams.producer(result.deadlock->full[0]), "fork");
  EXPECT_EQ(streams.consumer(result.deadlock->full[0]), "join");
  EXPECT_EQ(result.deadlock->message(),
            "'join' waits from cycle 0 on for a beat from 'slow'; 'slow' waits from cycle 3 on for "
            "a beat from 'fork'; 'fork' waits from cycle 2 on for room in its queue to 'join'");
  EXPECT_EQ(
      remedy(streams, 3),
      "the queue from 'fork' to 'join' must hold 8 beats, 6 more; no growth of fewer beats is "
      "enough");
}

// Whether some growth by so many beats in all lets the frames end; every way to spread them is
// tried, over the links from `first` on.
bool some_growth_ends(StreamGraph& graph, int64_t frames, int64_t beats, size_t first = 0) {
  if (beats == 0) {
    SimOptions options;
    options.frames = frames;
    return !simulate(graph, options).deadlock;
  }
  for (size_t link = first; link < graph.links.size(); ++link) {
    if (graph.is_ring(link)) continue;
    ++graph.links[link].queue;
    const bool ends = some_growth_ends(graph, frames, beats - 1, link);
    --graph.links[link].queue;
    if (ends) return true;
  }
  return false;
}

TEST(CycleModel, TheLeastGrowthEndsADeadlock) {
  int stopped = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Graph graph = random_graph(random);
    StreamGraph streams = stream_graph(graph, Family::generic);
    SimOptions options;
    options.frames = pick(random, 1, 4);
    const QueueGrowth growth = queue_growth(streams, options.frames);
    if (!simulate(streams, options).deadlock) {
      EXPECT_TRUE(growth.queues.empty());
      continue;
    }
    ++stopped;
    ASSERT_FALSE(growth.queues.empty());
    StreamGraph grown = streams;
    for (const auto& [link, beats] : growth.queues) grown.links[link].queue += beats;
    EXPECT_FALSE(simulate(grown, options).deadlock);
    for (const auto& [link, beats] : growth.queues) {
      --grown.links[link].queue;
      EXPECT_TRUE(simulate(grown, options).deadlock);
      ++grown.links[link].queue;
    }
    EXPECT_EQ(growth.least, growth.added);
    const int64_t fewer = std::min<int64_t>(growth.least - 1, 3);
    EXPECT_FALSE(some_growth_ends(streams, options.frames, fewer));
  }
  EXPECT_GT(stopped, 50);
}

TEST(CycleModel, AStoreThatIsTooSmallIsNoMatterOfQueues) {
  // The first step needs three of four beats, and there is room for two.
  Graph graph;
  Node& input = add_input(graph, "x", 4);
  Node& window = graph.add(fake::block, {{&input, 0}}, "window",
                           {{"phases", std::vector<int64_t>{1, 0, 1, 1, 0, 1}},
                            {"stored", std::vector<int64_t>{3, 1, 1, 3}},
                            {"room", int64_t{2}},
                            {"elements", std::vector<int64_t>{2}}});
  graph.outputs.push_back({"y", {&window, 0}});
  EXPECT_EQ(remedy(stream_graph(graph, Family::generic), 1), "longer queues don't help");
}

TEST(CycleModel, MissingStreamNodesAreNamed) {
  Graph graph;
  Node& input = add_input(graph, "x", 4);
  const auto one = [&](const std::string& name, int64_t beats) -> Node& {
    return graph.add(
        fake::block, {{&input, 0}}, name,
        {{"phases", std::vector<int64_t>{beats, 1, 1}}, {"elements", std::vector<int64_t>{4}}});
  };
  graph.outputs.push_back({"y", {&one("a", 4), 0}});
  graph.outputs.push_back({"z", {&one("b", 4), 0}});
  const auto message = [](const Graph& core) -> std::string {
    try {
      stream_graph(core, Family::generic);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(graph), "result 0 of 'x' has several users");
  Graph chain;
  Node& x = add_input(chain, "x", 4);
  Node& a =
      chain.add(fake::block, {{&x, 0}}, "a",
                {{"phases", std::vector<int64_t>{4, 1, 1}}, {"elements", std::vector<int64_t>{4}}});
  Node& b =
      chain.add(fake::block, {{&a, 0}}, "b",
                {{"phases", std::vector<int64_t>{2, 1, 1}}, {"elements", std::vector<int64_t>{4}}});
  chain.outputs.push_back({"y", {&b, 0}});
  EXPECT_EQ(message(chain),
            "'a' gives 1 lanes of 1 bits in 4 beats, 'b' takes 2 lanes of 1 bits in 2 beats");
}

TEST(CycleModel, FillIsTheBeatsThatWaitCycleByCycle) {
  int compared = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Graph graph = random_graph(random);
    const StreamGraph streams = stream_graph(graph, Family::generic);
    SimOptions options;
    options.frames = 40;
    const SimResult steady = simulate(streams, options);
    // One frame a period, which begins soon enough; else a single frame isn't the whole picture.
    if (steady.deadlock || steady.period_frames != 1) continue;
    options.interval = steady.period_cycles;
    options.fill_times = static_cast<int>(options.interval);
    options.record = true;
    const SimResult result = simulate(streams, options);
    for (size_t link = 0; link < streams.links.size(); ++link) {
      const StreamBlock& from = streams.blocks[streams.links[link].from];
      const int64_t beats = streams.links[link].stream.beats;
      std::vector<int64_t> waiting(static_cast<size_t>(options.interval), 0);
      for (int64_t beat = beats * (options.frames - 1); beat < beats * options.frames; ++beat) {
        const int64_t taken = result.taken[link][static_cast<size_t>(beat)];
        int64_t cycle = result.visible[link][static_cast<size_t>(beat)] - from.rhythm.depth;
        for (; cycle < taken; ++cycle) ++waiting[static_cast<size_t>(cycle % options.interval)];
      }
      ASSERT_EQ(result.fill[link].size(), waiting.size());
      for (size_t at = 0; at < waiting.size(); ++at)
        ASSERT_NEAR(result.fill[link][at], static_cast<double>(waiting[at]), 1e-6);
      ++compared;
    }
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace foldstream
