// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "src/fold/queue_network.h"
#include "src/fold/rate.h"
#include "src/fold/schedule.h"
#include "src/fold/shorten_queues.h"
#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/critical_cycle.h"
#include "src/sim/cycle_model.h"
#include "src/sim/queue_growth.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Frames that mostly show why a network is slower.
constexpr int64_t kFewFrames = 4;
// A schedule is improved again where that left less than this of its price.
constexpr double kGain = 0.999;
// Those of the model on the search for the cheapest queues of all, and on one frame of a network
// for which that is tried.
constexpr int64_t kSearchWork = 30'000'000;
constexpr int64_t kSmallFrame = 1'500;

// Where a stream of a node with several results needs more room than a queue of the node's own.
std::vector<FifoPlace> fifo_places(const QueueNetwork& network,
                                   const std::vector<int64_t>& needed) {
  std::vector<FifoPlace> places;
  for (const Node* node : network.nodes()) {
    const StreamBlock& block = network.block(node);
    if (block.out.size() == 1) continue;
    for (size_t link : block.out) {
      const StreamLink& stream = network.streams().links[link];
      const StreamBlock& to = network.streams().blocks[stream.to];
      if (needed[link] <= block.rhythm.queue || to.kind == StreamBlock::Kind::sink) continue;
      const bool held = to.kind == StreamBlock::Kind::writer;
      places.push_back({to.node, held ? network.streams().links[to.out[0]].to_port : stream.to_port,
                        needed[link]});
    }
  }
  return places;
}

// Sets what a schedule needs. A longer queue may be another memory, with a cycle more, which moves
// everything behind it: the schedule follows, and such a queue stays long, but for one try with
// those short that came out so.
Schedule schedule_queues(QueueNetwork& network) {
  std::map<const Node*, int64_t> floor;
  for (const Node* node : network.nodes()) floor[node] = network.least(*node);
  const auto needed_by = [&](const Node* node, const std::vector<int64_t>& needed) {
    int64_t queue = network.least(*node);
    for (size_t link : network.block(node).out) queue = std::max(queue, needed[link]);
    return queue;
  };
  const auto worth = [&](size_t link, int64_t beats) { return network.worth(link, beats); };
  Schedule schedule = network.schedule();
  schedule.choose_sides(worth);
  schedule.improve_blocks(worth);
  // Sets it; whether depths changed.
  const auto set = [&](const std::vector<int64_t>& needed) {
    bool changed = false;
    for (Node* node : network.nodes()) {
      const int64_t depth = network.block(node).rhythm.depth;
      network.set(*node, std::max(floor[node], needed_by(node, needed)));
      if (network.block(node).rhythm.depth == depth) continue;
      floor[node] = std::max(floor[node], kLutQueueDepth + 1);
      changed = true;
    }
    return changed;
  };
  const auto settle = [&] {
    while (set(schedule.queues())) {
      schedule.follow_depths();
      schedule.improve_blocks(worth);
    }
  };
  settle();
  // All that again as long as it gains something worth the time.
  for (double before = schedule.total(worth);; before = schedule.total(worth)) {
    schedule.choose_sides(worth);
    schedule.improve_blocks(worth);
    if (schedule.total(worth) >= kGain * before) break;
  }
  settle();
  const std::vector<int64_t> needed = schedule.queues();
  bool relaxed = false;
  for (Node* node : network.nodes()) {
    if (floor[node] <= std::max(kLutQueueDepth, needed_by(node, needed))) continue;
    floor[node] = network.least(*node);
    network.set(*node, std::max(floor[node], needed_by(node, needed)));
    relaxed = true;
  }
  if (!relaxed) return schedule;
  schedule.follow_depths();
  schedule.improve_blocks(worth);
  settle();
  return schedule;
}

// With these queues nothing in the first frame ever waits for room, so that it is as quick as any
// queues let it be.
void lengthen_queues(QueueNetwork& network) {
  for (bool settled = false; !settled;) {
    settled = true;
    StreamGraph endless = network.streams();
    SimOptions options;
    options.frames = 1;
    options.record = true;
    for (size_t link = 0; link < endless.links.size(); ++link) {
      StreamLink& stream = endless.links[link];
      if (!endless.is_ring(link)) stream.queue = std::max(stream.queue, stream.stream.beats);
    }
    const SimResult first = simulate(endless, options);
    FOLDSTREAM_CHECK(!first.deadlock);
    for (Node* node : network.nodes()) {
      const StreamBlock& block = network.block(node);
      const int64_t depth = block.rhythm.depth;
      int64_t queue = block.rhythm.queue;
      for (const size_t link : block.out) {
        const std::vector<int64_t>&visible = first.visible[link], &taken = first.taken[link];
        // Of the beats before it, so many were taken before the cycle of an issue.
        size_t before = 0;
        for (size_t beat = 0; beat < visible.size(); ++beat) {
          while (before < taken.size() && taken[before] < visible[beat] - depth) ++before;
          queue = std::max(queue, static_cast<int64_t>(beat + 1 - before));
        }
      }
      network.set(*node, queue);
      settled = settled && network.block(node).rhythm.depth == depth;
    }
  }
}

// Links in whose queues a step of the first frame may have waited for room.
std::vector<size_t> waited_for_room(const StreamGraph& graph) {
  SimOptions options;
  options.frames = 1;
  options.record = true;
  const SimResult first = simulate(graph, options);
  std::vector<size_t> links;
  for (size_t link = 0; link < graph.links.size(); ++link) {
    const StreamLink& stream = graph.links[link];
    if (graph.is_ring(link) || graph.blocks[stream.from].kind == StreamBlock::Kind::source)
      continue;
    const std::vector<int64_t>&visible = first.visible[link], &taken = first.taken[link];
    const int64_t depth = graph.blocks[stream.from].rhythm.depth;
    const auto places = static_cast<size_t>(stream.queue);
    bool waited = false;
    for (size_t beat = places; !waited && beat < visible.size(); ++beat)
      waited = visible[beat] - depth == taken[beat - places] + 1;
    if (waited) links.push_back(link);
  }
  return links;
}

// Of queues that keep the rate.
QueueResult described(QueueNetwork& network, const Rate& rate, int64_t latency) {
  QueueResult result;
  result.depths = queue_reasons(network, latency);
  result.price = network.price();
  result.interval_cycles = network.interval();
  result.latency_cycles = rate.result.latency_cycles;
  return result;
}

// A circle that is too slow, which mostly shows after a few frames. Adds to the work done.
std::optional<CriticalCycle> slow_circle(const QueueNetwork& network, int64_t& work) {
  for (const int64_t frames : {kFewFrames, kRateFrames}) {
    work += frames * network.steps();
    if (auto found = critical_cycle(network.streams(), network.interval(), frames)) return found;
  }
  return std::nullopt;
}

// The cheapest queues of all with which a small network keeps its rate and latency. From the
// shortest on: where the rate is missed, one queue of a circle that is too slow must be longer, so
// each of them is tried, the cheapest first. Nothing when `bound`, the price of queues that are
// known to do, or the work to spend comes first; `exhausted` tells which.
std::optional<std::vector<int64_t>> cheapest_queues(QueueNetwork& network, int64_t latency,
                                                    double bound, bool& exhausted) {
  const std::vector<Node*>& nodes = network.nodes();
  const auto price_of = [&](const std::vector<int64_t>& queues) {
    double sum = 0;
    for (size_t i = 0; i < nodes.size(); ++i) sum += network.price(*nodes[i], queues[i]);
    return sum;
  };
  std::map<size_t, size_t> giver;  // node by link
  std::vector<int64_t> start;
  for (size_t i = 0; i < nodes.size(); ++i) {
    start.push_back(network.least(*nodes[i]));
    for (size_t link : network.block(nodes[i]).out) giver[link] = i;
  }
  std::set<std::pair<double, std::vector<int64_t>>> open{{price_of(start), start}};
  std::set<std::vector<int64_t>> seen{start};
  exhausted = true;
  for (int64_t work = 0; !open.empty();) {
    const auto [price, queues] = *open.begin();
    open.erase(open.begin());
    if (price >= bound) return std::nullopt;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i]->integer("queue") != queues[i]) network.set(*nodes[i], queues[i]);
    }
    const Rate rate = rate_of(network.streams(), network.interval(), kRateFrames);
    const bool is_late = rate.result.latency_cycles > latency;
    if (rate.is_full && !is_late) return queues;
    work += rate.result.work + 100;
    // Each of these is full where something waits in a circle that is too slow: one must be longer.
    std::vector<size_t> full;
    if (rate.result.deadlock) {
      full = rate.result.deadlock->full;
    } else if (is_late) {
      // Any other may be longer, and nothing in the first frame would be sooner.
      full = waited_for_room(network.streams());
    } else if (const auto slow = slow_circle(network, work)) {
      for (size_t link : slow->full) {
        if (giver.contains(link)) full.push_back(link);
      }
    } else {
      exhausted = false;
      return std::nullopt;
    }
    std::set<size_t> waited;
    for (size_t link : full) waited.insert(giver.at(link));
    for (size_t i : waited) {
      std::vector<int64_t> more = queues;
      ++more[i];
      const double dearer = price_of(more);
      if (dearer >= bound) continue;
      if (more[i] > kLutQueueDepth || work > kSearchWork) {
        exhausted = false;  // another memory, with another depth; or too many to try
        return std::nullopt;
      }
      if (seen.insert(more).second) open.emplace(dearer, std::move(more));
    }
  }
  return std::nullopt;
}

// Where every node has a depth that is asked for, and these keep rate and latency.
std::optional<QueueResult> as_asked(Graph& core, Family family,
                                    const std::map<std::string, int64_t>& asked, int64_t latency) {
  QueueNetwork network(core, family, asked);
  const std::vector<Node*>& nodes = network.nodes();
  if (!std::all_of(nodes.begin(), nodes.end(),
                   [&](const Node* node) { return asked.contains(node->name); })) {
    return std::nullopt;
  }
  for (Node* node : nodes) network.set(*node, asked.at(node->name));
  const Rate rate = rate_of(network.streams(), network.interval(), kRateFrames);
  if (rate.is_full && rate.result.latency_cycles <= latency) {
    return described(network, rate, latency);
  }
  for (Node* node : nodes) node->attr.erase("queue");
  return std::nullopt;
}

}  // namespace

std::string why(const QueueDepth& depth) {
  switch (depth.reason) {
    case QueueDepth::Reason::asked:
      return "asked for";
    case QueueDepth::Reason::one:
      return "a queue has a place";
    case QueueDepth::Reason::untried:
      return "enough for the rate; whether less is, was not tried";
    case QueueDepth::Reason::spare:
      return "one beat less would do, too";
    case QueueDepth::Reason::later:
      return fmt::format("one beat less: the first frame takes {:g} cycles", depth.cycles);
    case QueueDepth::Reason::slower:
      break;
  }
  constexpr size_t kNames = 4;
  std::string names;
  for (size_t i = 0; i < std::min(depth.among.size(), kNames); ++i)
    names += fmt::format("{}'{}'", i == 0 ? "" : ", ", depth.among[i]);
  if (depth.among.size() > kNames)
    names += fmt::format(" and {} more", depth.among.size() - kNames);
  if (depth.cycles == 0) return fmt::format("one beat less: {} come to a stop", names);
  return fmt::format("one beat less: {} alone take at least {:g} cycles a frame", names,
                     depth.cycles);
}

bool QueueResult::least() const {
  return std::all_of(depths.begin(), depths.end(), [](const QueueDepth& depth) {
    return depth.reason != QueueDepth::Reason::untried && depth.reason != QueueDepth::Reason::spare;
  });
}

QueueResult set_queues(Graph& core, Family family, int64_t latency, QueueEffort effort,
                       std::map<std::string, int64_t> least) {
  for (Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware || !node.attr.contains("queue")) continue;
    int64_t& depth = least[node.name];
    depth = std::max(depth, node.integer("queue"));
    node.attr.erase("queue");
  }
  const bool branches = std::any_of(core.nodes.begin(), core.nodes.end(), [](const Node& node) {
    return node.op->kind == Op::Kind::hardware && node.out.size() > 1;
  });
  if (branches) {
    const QueueNetwork network(core, family, least);
    Schedule schedule = network.schedule();
    schedule.choose_sides([&](size_t link, int64_t beats) { return network.worth(link, beats); });
    const std::vector<FifoPlace> places = fifo_places(network, schedule.queues());
    if (!places.empty()) insert_fifos(core, places);
  }
  if (auto asked = as_asked(core, family, least, latency)) return *std::move(asked);
  QueueNetwork network(core, family, std::move(least));
  Schedule schedule = schedule_queues(network);
  if (latency != kAnyLatency && first_latency(network.streams()) > latency)
    lengthen_queues(network);
  QueueResult result;
  result.depths = shorten_queues(network, latency, std::move(schedule), effort);
  result.price = network.price();
  if (network.steps() <= kSmallFrame) {
    std::vector<int64_t> found;
    for (const Node* node : network.nodes()) found.push_back(node->integer("queue"));
    const auto cheaper = cheapest_queues(network, latency, result.price, result.cheapest);
    for (size_t i = 0; i < found.size(); ++i)
      network.set(*network.nodes()[i], cheaper ? (*cheaper)[i] : found[i]);
    if (cheaper) {
      result.depths = queue_reasons(network, latency);
      result.price = network.price();
    }
  }
  result.interval_cycles = network.interval();
  result.latency_cycles = first_latency(network.streams()).value();
  return result;
}

QueueResult judge_queues(Graph& core, Family family, int64_t latency) {
  QueueNetwork network(core, family, {});
  const Rate rate = rate_of(network.streams(), network.interval(), kRateFrames);
  if (rate.result.deadlock) {
    throw Error("the design stops: " + rate.result.deadlock->message(),
                remedy(network.streams(), kRateFrames));
  }
  if (!rate.is_full) {
    throw Error(fmt::format("a frame takes {} cycles, though no node needs more than {}",
                            rate.cycles, network.interval()),
                "queues are too short: build the design again without depths of queues");
  }
  if (rate.result.latency_cycles > latency) {
    throw Error(fmt::format("the first frame takes {} cycles, at most {} were asked for",
                            rate.result.latency_cycles, latency),
                "queues are too short: build the design again without depths of queues");
  }
  return described(network, rate, latency);
}

}  // namespace foldstream
