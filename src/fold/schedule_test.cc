// SPDX-License-Identifier: Apache-2.0
#include "src/fold/schedule.h"

#include <gtest/gtest.h>

#include <random>

#include "src/fold/fitter.h"
#include "src/sim/cycle_model.h"
#include "src/sim/fake_op.h"

namespace foldstream {
namespace {

// Blocks with random phases, some with stores, some with several operands or results.
Graph random_graph(std::mt19937& random) {
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  struct Open {
    Value value;
    int64_t beats;
  };
  Graph graph;
  std::vector<Open> open;
  for (int64_t i = pick(1, 2); i > 0; --i) {
    Node& x = graph.add(require_op("input"), {}, "x" + std::to_string(i),
                        {{"type", "u1"}, {"shape", std::vector<int64_t>{1, 24}}});
    open.push_back({{&x, 0}, std::vector<int64_t>{4, 6, 8}[static_cast<size_t>(pick(0, 2))]});
  }
  for (int64_t n = pick(2, 7); n > 0 || open.size() > 2; --n) {
    const auto take = [&] {
      const auto at = static_cast<size_t>(pick(0, static_cast<int64_t>(open.size()) - 1));
      const Open taken = open[at];
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
      return taken;
    };
    const Open first = take();
    const std::string name = "n" + std::to_string(graph.nodes.size());
    const int64_t depth = pick(1, 5);
    if (!open.empty() && (n <= 0 || pick(0, 2) == 0)) {  // takes two streams, by turns or at once
      const Open second = take();
      std::vector<int64_t> phases;
      if (first.beats == second.beats) {
        phases = {first.beats, 3, 1};
      } else {
        phases = {first.beats, 1, 0, second.beats, 2, 1};
      }
      Node& node = graph.add(fake::block, {first.value, second.value}, name,
                             {{"phases", phases},
                              {"elements", std::vector<int64_t>{24}},
                              {"depth", depth},
                              {"hold", int64_t{first.beats == second.beats ? 2 : 0}}});
      open.push_back({{&node, 0}, second.beats});
      continue;
    }
    const int64_t kind = pick(0, 3);
    if (kind == 0) {  // a store: rows of beats are needed, read several times, then freed
      const int64_t row = first.beats / 2, reads = pick(1, 3);
      Node& node = graph.add(
          fake::block, {first.value}, name,
          {{"phases",
            std::vector<int64_t>{1, 0, 1, reads, 0, 1, 1, 0, 1, reads - 1, 0, 1, 1, 0, 1}},
           {"stored", std::vector<int64_t>{row, 0, 0, 0, row, row, 0, 0, 0, first.beats - row}},
           {"room", 2 * first.beats},
           {"elements", std::vector<int64_t>{24}},
           {"depth", depth}});
      open.push_back({{&node, 0}, 2 + 2 * reads});
      continue;
    }
    // Phases without a step say nothing.
    std::vector<int64_t> phases{0, 0, 1, first.beats, 1, 0};
    if (pick(0, 1) == 0) phases.insert(phases.end(), {pick(1, 9), 0, 0});
    const bool forks = kind == 1;
    const int64_t gives = std::vector<int64_t>{4, 6, 8}[static_cast<size_t>(pick(0, 2))];
    for (int64_t left = gives; left > 0;) {
      const int64_t now = pick(1, left);
      phases.insert(phases.end(), {now, 0, forks ? 3 : 1});
      if (pick(0, 2) == 0) phases.insert(phases.end(), {pick(1, 4), 0, 0});
      left -= now;
    }
    Node& node =
        graph.add(fake::block, {first.value}, name,
                  {{"phases", phases},
                   {"elements", forks ? std::vector<int64_t>{24, 24} : std::vector<int64_t>{24}},
                   {"depth", depth}});
    open.push_back({{&node, 0}, gives});
    if (forks) open.push_back({{&node, 1}, gives});
  }
  for (const Open& left : open) {
    if (left.value.node->op->kind == Op::Kind::hardware)
      graph.outputs.push_back({"y" + std::to_string(graph.outputs.size()), left.value});
  }
  return graph;
}

int64_t slowest(const StreamGraph& streams) {
  int64_t cycles = 0;
  for (const StreamBlock& block : streams.blocks) cycles = std::max(cycles, block.rhythm.steps());
  return cycles;
}

double total(const std::vector<int64_t>& queues) {
  double sum = 0;
  for (int64_t beats : queues) sum += static_cast<double>(beats);
  return sum;
}

double total_of_nodes(const StreamGraph& streams, const std::vector<int64_t>& queues) {
  double sum = 0;
  for (size_t link = 0; link < queues.size(); ++link) {
    if (streams.blocks[streams.links[link].from].kind == StreamBlock::Kind::node)
      sum += static_cast<double>(queues[link]);
  }
  return sum;
}

bool from_node(const StreamGraph& streams, size_t link) {
  return streams.blocks[streams.links[link].from].kind == StreamBlock::Kind::node;
}

bool has_full_rate(const StreamGraph& streams, const std::vector<int64_t>& queues,
                   int64_t interval) {
  StreamGraph sized = streams;
  for (size_t link = 0; link < queues.size(); ++link) {
    if (from_node(streams, link)) sized.links[link].queue = queues[link];
  }
  SimOptions options;
  options.frames = 300;
  const SimResult result = simulate(sized, options);
  // Parts that no queue connects may go at rates of their own and never repeat together.
  return !result.deadlock && result.frame_out[299] - result.frame_out[149] <= 150 * interval;
}

// Random graphs with the interval of their slowest block.
template <class Visit>
void for_each_network(unsigned count, const Visit& visit) {
  for (unsigned seed = 0; seed < count; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Graph graph = random_graph(random);
    if (graph.outputs.empty()) continue;
    StreamGraph streams = stream_graph(graph, Family::generic);
    visit(streams, slowest(streams), random);
  }
}

TEST(Schedule, ItsQueuesKeepTheRate) {
  double before = 0, between = 0, after = 0;
  for_each_network(400, [&](StreamGraph& streams, int64_t interval, std::mt19937& random) {
    Schedule schedule(streams, interval);
    const auto holds = [&] { EXPECT_TRUE(has_full_rate(streams, schedule.queues(), interval)); };
    const QueuePrice price = [](size_t, int64_t beats) { return static_cast<double>(beats); };
    before += total(schedule.queues());
    holds();
    schedule.choose_sides(price);
    between += total(schedule.queues());
    holds();
    schedule.improve_blocks(price);
    after += total(schedule.queues());
    const double last = schedule.total(price);
    holds();
    // Chosen again from there it is never dearer, and it follows depths that change.
    schedule.choose_sides(price);
    const double again = schedule.total(price);
    EXPECT_EQ(again, total_of_nodes(streams, schedule.queues()));
    EXPECT_LE(again, last);
    holds();
    for (StreamBlock& block : streams.blocks) {
      if (block.kind == StreamBlock::Kind::node)
        block.rhythm.depth = 1 + static_cast<int64_t>(random() % 7);
    }
    schedule.follow_depths();
    holds();
  });
  EXPECT_LT(between, before);
  EXPECT_LT(after, between);
}

// Every link in turn gets a beat less as long as a schedule is found, from one in which everything
// is early. What is found keeps the rate; what isn't would lose it, but for few.
TEST(Fitter, ShorterQueuesKeepTheRate) {
  int64_t fewer = 0, refused = 0, missed = 0;
  for_each_network(400, [&](const StreamGraph& streams, int64_t interval, std::mt19937&) {
    const Schedule schedule(streams, interval);
    std::vector<int64_t> queues = schedule.queues();
    Fitter fitter(schedule, queues);
    for (size_t link = 0; link < queues.size(); ++link) {
      if (!from_node(streams, link)) continue;
      for (int64_t work = 100'000; queues[link] > 1;) {
        const bool fits = fitter.fit({link}, --queues[link], work);
        if (fits) {
          ++fewer;
          continue;
        }
        ++refused;
        if (has_full_rate(streams, queues, interval)) ++missed;
        ++queues[link];
        break;
      }
    }
    EXPECT_TRUE(has_full_rate(streams, queues, interval));
  });
  EXPECT_GT(fewer, 1000);
  EXPECT_GT(refused, 1000);
  EXPECT_LT(100 * missed, refused);
}

// What can't be is refused, and then nothing has moved.
TEST(Fitter, FindsNothingWhereThereIsNothing) {
  int64_t tried = 0;
  for_each_network(200, [&](const StreamGraph& streams, int64_t interval, std::mt19937&) {
    const Schedule schedule(streams, interval);
    const std::vector<int64_t> queues = schedule.queues();
    for (size_t link = 0; link < queues.size(); ++link) {
      std::vector<int64_t> shorter = queues;
      shorter[link] = 1;
      if (!from_node(streams, link) || has_full_rate(streams, shorter, interval)) continue;
      ++tried;
      int64_t work = 1'000'000, none = 0;
      Fitter fitter(schedule, queues);
      EXPECT_FALSE(fitter.fit({link}, 1, work));
      EXPECT_TRUE(fitter.fit({link}, queues[link], none));
    }
  });
  EXPECT_GT(tried, 50);
}

}  // namespace
}  // namespace foldstream
