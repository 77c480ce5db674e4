// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "src/fold/schedule.h"
#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/rtl/block.h"
#include "src/sim/critical_cycle.h"
#include "src/sim/cycle_model.h"
#include "src/sim/queue_growth.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Frames after which the rate of a whole network that isn't periodic is judged by its second half,
// and those after which that of a part counts as unknown.
constexpr int64_t kFrames = 64;
constexpr int64_t kPartFrames = 24;
// Steps of the cycle model that may be spent on making queues shorter and on reasons, on the search
// for the cheapest of all, and on one frame of a network for which that is tried.
constexpr int64_t kShrinkWork = 60'000'000;
constexpr int64_t kSearchWork = 10'000'000;
constexpr int64_t kSmallFrame = 1'500;
// Those of a part whose every beat may be kept to find what makes it slow.
constexpr int64_t kTraceWork = 5'000'000;
// Those that may be spent on reasons alone.
constexpr int64_t kJudgeWork = 2'000'000'000;
// What a block memory is worth in LUTs, and a flip-flop; and a bit of memory, so that of queues of
// one price the shorter wins.
constexpr double kLutsOfBlock = 190, kLutsOfRegister = 0.25, kLutsOfBit = 1e-3;

// A node with its blocks and streams, as they are with a queue of some size.
class Network {
 public:
  Network(Graph& core, Family family) : family_(family) {
    for (Node& node : core.nodes) {
      if (node.op->kind == Op::Kind::hardware) nodes_.push_back(&node);
    }
    streams_ = stream_graph(core, family);
    for (size_t b = 0; b < streams_.blocks.size(); ++b) {
      const StreamBlock& block = streams_.blocks[b];
      interval_ = std::max(interval_, block.rhythm.steps());
      if (block.kind == StreamBlock::Kind::node) block_of_[block.node] = b;
    }
  }

  const std::vector<Node*>& nodes() const { return nodes_; }
  const StreamGraph& streams() const { return streams_; }
  int64_t interval() const { return interval_; }
  size_t block_index(const Node* node) const { return block_of_.at(node); }
  const StreamBlock& block(const Node* node) const { return streams_.blocks[block_index(node)]; }

  void set(Node& node, int64_t queue) {
    node.attr["queue"] = queue;
    StreamBlock& changed = streams_.blocks[block_of_.at(&node)];
    changed.rhythm = node.op->rhythm(node, family_);
    for (size_t link : changed.out) streams_.links[link].queue = changed.rhythm.queue;
  }

  // Of one link's queue.
  double price(size_t link, int64_t beats) const {
    return queue_price(streams_.links[link].stream.width(), beats);
  }

  // Of all queues behind a node, if they are so long.
  double price(const Node& node, int64_t beats) const {
    double sum = 0;
    for (size_t link : block(&node).out) sum += price(link, beats);
    return sum;
  }

  // Beats that each link's queue needs in a schedule at the full rate. `finely`: the best that is
  // found, else a first one.
  std::vector<int64_t> needed(bool finely) const {
    Schedule schedule(streams_, interval_);
    const QueuePrice worth = [&](size_t link, int64_t beats) {
      // All queues behind a node are as long as the longest of them.
      return static_cast<double>(streams_.blocks[streams_.links[link].from].out.size()) *
             price(link, beats);
    };
    schedule.choose_sides(worth);
    if (finely) schedule.improve_blocks(worth);
    return schedule.queues();
  }

 private:
  Family family_;
  std::vector<Node*> nodes_;
  StreamGraph streams_;
  std::map<const Node*, size_t> block_of_;
  int64_t interval_ = 0;
};

int64_t least_of(const std::map<std::string, int64_t>& least, const Node& node) {
  const auto it = least.find(node.name);
  return it == least.end() ? 1 : it->second;
}

// Where a stream of a node with several results needs more room than a queue of the node's own.
std::vector<FifoPlace> fifo_places(const Network& network, const std::vector<int64_t>& needed) {
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
// everything behind it: the schedule is made again, and such a queue stays long, but for one try
// with those short that came out so.
void schedule_queues(Network& network, const std::map<std::string, int64_t>& least) {
  std::map<const Node*, int64_t> floor;
  for (const Node* node : network.nodes()) floor[node] = least_of(least, *node);
  const auto needed_by = [&](const Node* node, const std::vector<int64_t>& needed) {
    int64_t queue = least_of(least, *node);
    for (size_t link : network.block(node).out) queue = std::max(queue, needed[link]);
    return queue;
  };
  for (bool settled = false, relaxed = false; !settled;) {
    settled = true;
    const std::vector<int64_t> needed = network.needed(true);
    for (Node* node : network.nodes()) {
      const int64_t depth = network.block(node).rhythm.depth;
      network.set(*node, std::max(floor[node], needed_by(node, needed)));
      if (network.block(node).rhythm.depth == depth) continue;
      floor[node] = std::max(floor[node], kLutQueueDepth + 1);
      settled = false;
    }
    if (!settled || relaxed) continue;
    relaxed = true;
    for (Node* node : network.nodes()) {
      if (floor[node] <= std::max(kLutQueueDepth, needed_by(node, needed))) continue;
      floor[node] = least_of(least, *node);
      network.set(*node, std::max(floor[node], needed_by(node, needed)));
      settled = false;
    }
  }
}

// Cycles of the first frame; none when it never ends.
std::optional<int64_t> first_latency(const StreamGraph& graph) {
  SimOptions options;
  options.frames = 1;
  const SimResult first = simulate(graph, options);
  if (first.deadlock) return std::nullopt;
  return first.latency_cycles;
}

// With these queues nothing in the first frame ever waits for room, so that it is as quick as any
// queues let it be.
void lengthen_queues(Network& network) {
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

// What the cycle model says of a stream graph at the rate of one frame every `interval` cycles.
struct Rate {
  bool is_known = false;  // the times repeat, or everything stops
  bool is_full = false;
  double cycles = 0;  // of a frame; 0 when everything stops
  SimResult result;
};

Rate rate_of(const StreamGraph& graph, int64_t interval, int64_t frames) {
  SimOptions options;
  options.frames = frames;
  Rate rate;
  rate.result = simulate(graph, options);
  const SimResult& result = rate.result;
  if (result.deadlock) {
    rate.is_known = true;
    return rate;
  }
  rate.is_known = result.period_frames > 0;
  int64_t over = result.period_frames, cycles = result.period_cycles;
  if (!rate.is_known) {
    const int64_t half = frames / 2;
    over = frames - half;
    cycles = result.frame_out.back() - result.frame_out[static_cast<size_t>(half) - 1];
  }
  rate.is_full = cycles <= over * interval;
  rate.cycles = static_cast<double>(cycles) / static_cast<double>(over);
  return rate;
}

// Makes the queues of a network that has its full rate shorter, and says why they are as long as
// they are.
class Judge {
 public:
  // `least`: what is asked for, by name.
  Judge(Network& network, const std::map<std::string, int64_t>& least, int64_t latency,
        int64_t work)
      : network_(network), least_(least), latency_(latency), work_(work) {}

  // The reason why the queue of a node isn't a beat shorter.
  QueueDepth reason(const Node& node) {
    QueueDepth depth = reason_of_rate(node);
    if (depth.reason != QueueDepth::Reason::untried || latency_ == kAnyLatency) return depth;
    if (!is_affordable(std::vector<bool>(network_.streams().blocks.size(), true))) return depth;
    StreamGraph shorter = network_.streams();
    for (const size_t link : network_.block(&node).out) shorter.links[link].queue = depth.beats - 1;
    for (const StreamBlock& block : shorter.blocks) work_ -= block.rhythm.steps();
    if (const auto latency = first_latency(shorter); latency && *latency > latency_) {
      depth.reason = QueueDepth::Reason::later;
      depth.cycles = static_cast<double>(*latency);
    }
    return depth;
  }

  // As reason, after the queue was made as short as the whole network allows.
  QueueDepth shorten(Node& node) {
    const int64_t found = node.integer("queue"), floor = least_of(least_, node);
    // What the blocks around it need, whatever the others do. Less room never makes anything
    // earlier, so halving finds the least.
    const auto halve = [&](int64_t low, int64_t high, const auto& is_enough) {
      while (low < high && work_ > 0) {
        const int64_t middle = low + (high - low) / 2;
        if (is_enough(middle))
          high = middle;
        else
          low = middle + 1;
      }
      return high;
    };
    const std::vector<bool> kept = around(node);
    if (!is_affordable(kept)) return reason(node);
    const int64_t low = halve(floor, found, [&](int64_t queue) {
      const Rate rate = part_rate(kept, node, queue);
      return !rate.is_known || rate.is_full;
    });
    const auto enough = [&](int64_t queue) {
      network_.set(node, queue);
      const Rate rate = rate_of(network_.streams(), network_.interval(), kFrames);
      work_ -= rate.result.work;
      return rate.is_full && rate.result.latency_cycles <= latency_;
    };
    int64_t queue = found;
    const std::vector<bool> all(network_.streams().blocks.size(), true);
    if (low < found && is_affordable(all)) {
      queue = enough(low) ? low : halve(low + 1, found, enough);
    }
    network_.set(node, queue);
    return reason(node);
  }

 private:
  // As far as some blocks around it alone tell: at first it and those it gives to, then more and
  // more.
  QueueDepth reason_of_rate(const Node& node) {
    QueueDepth depth;
    depth.node = node.name;
    depth.beats = node.integer("queue");
    if (depth.beats <= least_of(least_, node)) {
      depth.reason = depth.beats == 1 ? QueueDepth::Reason::one : QueueDepth::Reason::asked;
      return depth;
    }
    std::vector<bool> kept = around(node);
    for (int64_t rings = 1;; rings *= 2) {
      if (!is_affordable(kept)) return depth;
      const Rate rate = part_rate(kept, node, depth.beats - 1);
      if (rate.is_known && !rate.is_full) {
        depth.reason = QueueDepth::Reason::slower;
        depth.cycles = rate.cycles;
        for (size_t b = 0; b < kept.size(); ++b) {
          const StreamBlock& block = network_.streams().blocks[b];
          if (kept[b] && block.kind == StreamBlock::Kind::node) depth.among.push_back(block.name);
        }
        return depth;
      }
      const std::vector<bool> before = kept;
      for (int64_t ring = 0; ring < rings; ++ring) widen(kept);
      if (kept == before) return depth;  // the whole network
    }
  }

  // A node's block and those inside of the node.
  void keep(std::vector<bool>& kept, size_t block) const {
    const StreamGraph& graph = network_.streams();
    if (graph.blocks[block].kind == StreamBlock::Kind::writer)
      block = graph.links[graph.blocks[block].out[0]].to;
    if (graph.blocks[block].kind != StreamBlock::Kind::node) return;
    kept[block] = true;
    for (size_t link : graph.blocks[block].in) {
      if (graph.is_ring(link)) kept[graph.links[link].from] = true;
    }
  }
  // And the nodes beside those that are kept.
  void widen(std::vector<bool>& kept) const {
    const std::vector<bool> inner = kept;
    const StreamGraph& graph = network_.streams();
    for (size_t b = 0; b < inner.size(); ++b) {
      if (!inner[b]) continue;
      for (size_t link : graph.blocks[b].in) keep(kept, graph.links[link].from);
      for (size_t link : graph.blocks[b].out) keep(kept, graph.links[link].to);
    }
  }
  // A node and those that it gives to.
  std::vector<bool> around(const Node& node) const {
    std::vector<bool> kept(network_.streams().blocks.size(), false);
    keep(kept, network_.block_index(&node));
    for (size_t link : network_.block(&node).out) keep(kept, network_.streams().links[link].to);
    return kept;
  }

  // Whether a few frames of these blocks are within what may still be spent.
  bool is_affordable(const std::vector<bool>& kept) const {
    int64_t steps = 0;
    for (size_t b = 0; b < kept.size(); ++b) {
      if (kept[b]) steps += network_.streams().blocks[b].rhythm.steps();
    }
    constexpr int64_t kFewFrames = 4;
    return kFewFrames * steps <= work_;
  }

  Rate part_rate(const std::vector<bool>& kept, const Node& node, int64_t queue) {
    StreamGraph part = part_of(network_.streams(), kept);
    for (StreamLink& link : part.links) {
      const StreamBlock& from = part.blocks[link.from];
      if (from.kind == StreamBlock::Kind::node && from.node == &node) link.queue = queue;
    }
    Rate rate = rate_of(part, network_.interval(), kPartFrames);
    work_ -= rate.result.work;
    if (rate.is_known || rate.is_full || rate.result.work > kTraceWork) return rate;
    // Times that don't repeat yet may still show what can never be made up for.
    if (const auto slow = critical_cycle(part, network_.interval(), kPartFrames)) {
      rate.is_known = true;
      rate.cycles = static_cast<double>(slow->cycles) / static_cast<double>(slow->frames);
    }
    return rate;
  }

  Network& network_;
  const std::map<std::string, int64_t>& least_;
  const int64_t latency_;  // most cycles of the first frame
  int64_t work_;
};

// The cheapest queues of all with which a small network keeps its rate and latency. From the
// shortest on: where the rate is missed, one queue of a circle that is too slow must be longer, so
// each of them is tried, the cheapest first. Nothing when `bound`, the price of queues that are
// known to do, or the work to spend comes first; `exhausted` tells which.
std::optional<std::vector<int64_t>> cheapest_queues(Network& network,
                                                    const std::map<std::string, int64_t>& least,
                                                    int64_t latency, double bound,
                                                    bool& exhausted) {
  const std::vector<Node*>& nodes = network.nodes();
  const auto price_of = [&](const std::vector<int64_t>& queues) {
    double sum = 0;
    for (size_t i = 0; i < nodes.size(); ++i) sum += network.price(*nodes[i], queues[i]);
    return sum;
  };
  std::map<size_t, size_t> giver;  // node by link
  std::vector<int64_t> start;
  for (size_t i = 0; i < nodes.size(); ++i) {
    start.push_back(least_of(least, *nodes[i]));
    for (size_t link : network.block(nodes[i]).out) giver[link] = i;
  }
  std::set<std::pair<double, std::vector<int64_t>>> open{{price_of(start), start}};
  std::set<std::vector<int64_t>> seen{start};
  exhausted = true;
  for (int64_t work = 0; !open.empty();) {
    const auto [price, queues] = *open.begin();
    open.erase(open.begin());
    if (price >= bound) return std::nullopt;
    for (size_t i = 0; i < nodes.size(); ++i) network.set(*nodes[i], queues[i]);
    const Rate rate = rate_of(network.streams(), network.interval(), kFrames);
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
    } else if (const auto slow = critical_cycle(network.streams(), network.interval(), kFrames)) {
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

}  // namespace

std::string why(const QueueDepth& depth) {
  switch (depth.reason) {
    case QueueDepth::Reason::asked:
      return "asked for";
    case QueueDepth::Reason::one:
      return "a queue has a place";
    case QueueDepth::Reason::untried:
      return "enough for the rate; whether less is, was not tried";
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
  return fmt::format("one beat less: {} alone take {:g} cycles a frame", names, depth.cycles);
}

double queue_price(int64_t width, int64_t beats) {
  Rhythm rhythm;
  // A deep queue of a power of two is cheaper than one of a beat less. Searches count on more beats
  // never being cheaper, so it is priced like that one.
  const bool deep = beats > kLutQueueDepth;
  rhythm.queue = deep && (beats & (beats - 1)) == 0 ? beats - 1 : beats;
  const Cost cost = queue_cost(rhythm, width);
  return cost.lut + kLutsOfRegister * cost.ff + kLutsOfBlock * cost.bram18 +
         kLutsOfBit * static_cast<double>(beats * width);
}

bool QueueResult::least() const {
  return std::all_of(depths.begin(), depths.end(), [](const QueueDepth& depth) {
    return depth.reason != QueueDepth::Reason::untried;
  });
}

QueueResult set_queues(Graph& core, Family family, int64_t latency) {
  std::map<std::string, int64_t> least;
  for (Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    least[node.name] = node.integer("queue", 1);
    node.attr.erase("queue");
  }
  const bool branches = std::any_of(core.nodes.begin(), core.nodes.end(), [](const Node& node) {
    return node.op->kind == Op::Kind::hardware && node.out.size() > 1;
  });
  if (branches) {
    const Network network(core, family);
    const std::vector<FifoPlace> places = fifo_places(network, network.needed(false));
    if (!places.empty()) insert_fifos(core, places);
  }
  Network network(core, family);
  schedule_queues(network, least);
  if (latency != kAnyLatency && first_latency(network.streams()) > latency)
    lengthen_queues(network);
  QueueResult result;
  int64_t steps = 0;
  for (const StreamBlock& block : network.streams().blocks) steps += block.rhythm.steps();
  Judge judge(network, least, latency, kShrinkWork);
  // The dearest first.
  std::vector<Node*> order = network.nodes();
  std::stable_sort(order.begin(), order.end(), [&](const Node* a, const Node* b) {
    return network.price(*a, a->integer("queue")) > network.price(*b, b->integer("queue"));
  });
  std::map<const Node*, QueueDepth> depths;
  for (Node* node : order) depths[node] = judge.shorten(*node);
  const auto total = [&] {
    double sum = 0;
    for (const Node* node : network.nodes()) sum += network.price(*node, node->integer("queue"));
    return sum;
  };
  result.price = total();
  if (steps <= kSmallFrame) {
    std::vector<int64_t> found;
    for (const Node* node : network.nodes()) found.push_back(node->integer("queue"));
    const auto cheaper = cheapest_queues(network, least, latency, result.price, result.cheapest);
    for (size_t i = 0; i < found.size(); ++i)
      network.set(*network.nodes()[i], cheaper ? (*cheaper)[i] : found[i]);
    if (cheaper) {
      for (const Node* node : network.nodes()) depths[node] = judge.reason(*node);
      result.price = total();
    }
  }
  for (const Node* node : network.nodes()) result.depths.push_back(std::move(depths[node]));
  result.interval_cycles = network.interval();
  result.latency_cycles = first_latency(network.streams()).value();
  return result;
}

QueueResult judge_queues(Graph& core, Family family, int64_t latency) {
  const std::map<std::string, int64_t> least;
  Network network(core, family);
  const Rate rate = rate_of(network.streams(), network.interval(), kFrames);
  if (rate.result.deadlock) {
    throw Error("the design stops: " + rate.result.deadlock->message(),
                remedy(network.streams(), kFrames));
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
  Judge judge(network, least, latency, kJudgeWork);
  QueueResult result;
  for (const Node* node : network.nodes()) {
    result.depths.push_back(judge.reason(*node));
    result.price += network.price(*node, node->integer("queue"));
  }
  result.interval_cycles = network.interval();
  result.latency_cycles = rate.result.latency_cycles;
  return result;
}

}  // namespace foldstream
