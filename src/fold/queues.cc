// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "src/fold/periodic.h"
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

// Frames after which the rate of a network that isn't periodic is judged by its second half.
constexpr int64_t kFrames = 64;
// Events that may be looked at to make queues shorter and for reasons, and of that for one queue
// that can be shorter.
constexpr int64_t kShrinkWork = 40'000'000;
constexpr int64_t kQueueWork = 6'000'000;
// Steps of the cycle model that may be spent on the search for the cheapest of all, and on one
// frame of a network for which that is tried.
constexpr int64_t kSearchWork = 10'000'000;
constexpr int64_t kSmallFrame = 1'500;
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

  // At the full rate. `finely`: the best that is found, else a first one.
  Schedule schedule(bool finely) const {
    Schedule schedule(streams_, interval_);
    const QueuePrice worth = [&](size_t link, int64_t beats) {
      // All queues behind a node are as long as the longest of them.
      return static_cast<double>(streams_.blocks[streams_.links[link].from].out.size()) *
             price(link, beats);
    };
    schedule.choose_sides(worth);
    if (finely) schedule.improve_blocks(worth);
    return schedule;
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
Schedule schedule_queues(Network& network, const std::map<std::string, int64_t>& least) {
  std::map<const Node*, int64_t> floor;
  for (const Node* node : network.nodes()) floor[node] = least_of(least, *node);
  const auto needed_by = [&](const Node* node, const std::vector<int64_t>& needed) {
    int64_t queue = least_of(least, *node);
    for (size_t link : network.block(node).out) queue = std::max(queue, needed[link]);
    return queue;
  };
  for (bool relaxed = false;;) {
    bool settled = true;
    Schedule schedule = network.schedule(true);
    const std::vector<int64_t> needed = schedule.queues();
    for (Node* node : network.nodes()) {
      const int64_t depth = network.block(node).rhythm.depth;
      network.set(*node, std::max(floor[node], needed_by(node, needed)));
      if (network.block(node).rhythm.depth == depth) continue;
      floor[node] = std::max(floor[node], kLutQueueDepth + 1);
      settled = false;
    }
    if (settled && relaxed) return schedule;
    if (!settled) continue;
    relaxed = true;
    for (Node* node : network.nodes()) {
      if (floor[node] <= std::max(kLutQueueDepth, needed_by(node, needed))) continue;
      floor[node] = least_of(least, *node);
      network.set(*node, std::max(floor[node], needed_by(node, needed)));
      settled = false;
    }
    if (settled) return schedule;
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

constexpr int64_t kAnyLatency = std::numeric_limits<int64_t>::max();

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
        Periodic& times)
      : network_(network), least_(least), latency_(latency), times_(times) {}

  // The times with the queues as they are; what forbids it, where that isn't the full rate.
  std::optional<Periodic::Circle> begin() {
    for (const Node* node : network_.nodes()) {
      const int64_t queue = node->integer("queue");
      if (auto circle = times_.shorten(network_.block(node).out, queue)) return circle;
    }
    return std::nullopt;
  }

  // The reason why the queue of a node isn't a beat shorter.
  QueueDepth reason(Node& node) {
    const int64_t beats = node.integer("queue");
    if (beats <= least_of(least_, node) || times_.work() > kShrinkWork) return unforced(node);
    if (auto reason = forbids(node, beats - 1)) return *reason;
    times_.undo();
    network_.set(node, beats);
    return unforced(node);
  }

  // The same, and the queue is a beat shorter where nothing forbids it: untried then.
  QueueDepth try_one_less(Node& node) {
    const int64_t beats = node.integer("queue");
    if (beats > least_of(least_, node) && times_.work() <= kShrinkWork) {
      if (auto reason = forbids(node, beats - 1, false)) return *reason;
    }
    return unforced(node);
  }

  // The same, after the queue was made as short as the whole network allows. Less room never makes
  // anything earlier, so halving finds the least.
  QueueDepth shorten(Node& node) {
    const int64_t most_work = std::min(kShrinkWork, times_.work() + kQueueWork);
    int64_t low = least_of(least_, node), high = node.integer("queue");
    std::optional<QueueDepth> reason;  // for `high`
    while (low < high && times_.work() <= most_work) {
      const int64_t middle = low + (high - low) / 2;
      if (auto forbidden = forbids(node, middle)) {
        low = middle + 1;
        if (low == high) reason = std::move(forbidden);
      } else {
        high = middle;
        reason.reset();
      }
    }
    if (!reason) return this->reason(node);
    reason->beats = high;
    return *reason;
  }

 private:
  // Of a queue that nothing is known to forbid a beat less.
  QueueDepth unforced(const Node& node) const {
    QueueDepth depth;
    depth.node = node.name;
    depth.beats = node.integer("queue");
    if (depth.beats <= least_of(least_, node))
      depth.reason = depth.beats == 1 ? QueueDepth::Reason::one : QueueDepth::Reason::asked;
    return depth;
  }

  // Why the queue of a node can't be of so many beats; nothing: it can, and is.
  std::optional<QueueDepth> forbids(Node& node, int64_t beats, bool thorough = true) {
    const int64_t before = node.integer("queue");
    QueueDepth depth;
    depth.node = node.name;
    depth.beats = before;
    const auto circle = times_.shorten(network_.block(&node).out, beats, thorough);
    if (circle) {
      if (circle->blocks.empty()) return depth;
      depth.reason = QueueDepth::Reason::slower;
      if (circle->frames > 0) {
        depth.cycles = static_cast<double>(circle->cycles) / static_cast<double>(circle->frames);
      }
      std::set<const Node*> among;
      for (const size_t b : circle->blocks) among.insert(network_.streams().blocks[b].node);
      for (const Node* one : network_.nodes()) {
        if (among.contains(one)) depth.among.push_back(one->name);
      }
      return depth;
    }
    network_.set(node, beats);
    if (latency_ == kAnyLatency) return std::nullopt;
    const std::optional<int64_t> latency = first_latency(network_.streams());
    FOLDSTREAM_CHECK(latency.has_value());
    if (*latency <= latency_) return std::nullopt;
    times_.undo();
    network_.set(node, before);
    depth.reason = QueueDepth::Reason::later;
    depth.cycles = static_cast<double>(*latency);
    return depth;
  }

  Network& network_;
  const std::map<std::string, int64_t>& least_;
  const int64_t latency_;  // most cycles of the first frame
  Periodic& times_;
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
    const std::vector<FifoPlace> places = fifo_places(network, network.schedule(false).queues());
    if (!places.empty()) insert_fifos(core, places);
  }
  Network network(core, family);
  const Schedule schedule = schedule_queues(network, least);
  if (latency != kAnyLatency && first_latency(network.streams()) > latency)
    lengthen_queues(network);
  QueueResult result;
  int64_t steps = 0;
  for (const StreamBlock& block : network.streams().blocks) steps += block.rhythm.steps();
  // The dearest first.
  std::vector<Node*> order = network.nodes();
  std::stable_sort(order.begin(), order.end(), [&](const Node* a, const Node* b) {
    return network.price(*a, a->integer("queue")) > network.price(*b, b->integer("queue"));
  });
  std::map<const Node*, QueueDepth> depths;
  {
    Periodic times(network.streams(), network.interval(), schedule);
    Judge judge(network, least, latency, times);
    // A queue that becomes another memory is quicker by a cycle, which may spare a beat where its
    // node is on the circle.
    for (std::vector<Node*> due = order; !due.empty();) {
      std::set<std::string> quicker;
      // Most can't be shorter at all, which is soon said.
      for (const bool one : {true, false}) {
        for (Node* node : due) {
          const int64_t depth = network.block(node).rhythm.depth;
          if (one)
            depths[node] = judge.try_one_less(*node);
          else if (depths[node].reason == QueueDepth::Reason::untried)
            depths[node] = judge.shorten(*node);
          if (network.block(node).rhythm.depth != depth) quicker.insert(node->name);
        }
      }
      due.clear();
      for (Node* node : order) {
        const std::vector<std::string>& among = depths[node].among;
        if (std::any_of(among.begin(), among.end(),
                        [&](const std::string& name) { return quicker.contains(name); })) {
          due.push_back(node);
        }
      }
    }
  }
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
      Periodic times(network.streams(), network.interval(), network.schedule(true));
      Judge judge(network, least, latency, times);
      FOLDSTREAM_CHECK(!judge.begin());
      for (Node* node : network.nodes()) depths[node] = judge.reason(*node);
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
  Periodic times(network.streams(), network.interval(), network.schedule(true));
  Judge judge(network, least, latency, times);
  if (const auto circle = judge.begin()) {
    SimOptions options;
    options.frames = kFrames;
    const SimResult stopped = simulate(network.streams(), options);
    if (stopped.deadlock) {
      throw Error("the design stops: " + stopped.deadlock->message(),
                  remedy(network.streams(), kFrames));
    }
    throw Error(
        fmt::format("a frame takes {} cycles, though no node needs more than {}",
                    static_cast<double>(circle->cycles) / static_cast<double>(circle->frames),
                    network.interval()),
        "queues are too short: build the design again without depths of queues");
  }
  const int64_t first = first_latency(network.streams()).value();
  if (first > latency) {
    throw Error(
        fmt::format("the first frame takes {} cycles, at most {} were asked for", first, latency),
        "queues are too short: build the design again without depths of queues");
  }
  QueueResult result;
  for (Node* node : network.nodes()) {
    result.depths.push_back(judge.reason(*node));
    result.price += network.price(*node, node->integer("queue"));
  }
  result.interval_cycles = network.interval();
  result.latency_cycles = first;
  return result;
}

}  // namespace foldstream
