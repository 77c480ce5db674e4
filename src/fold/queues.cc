// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "src/fold/fitter.h"
#include "src/fold/schedule.h"
#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/rtl/block.h"
#include "src/sim/critical_cycle.h"
#include "src/sim/cycle_model.h"
#include "src/sim/queue_growth.h"
#include "src/util/error.h"
#include "src/util/parallel.h"

namespace foldstream {
namespace {

// Frames after which the rate of a whole network that isn't periodic is judged by its second half,
// and those after which it is unknown whether a part of it keeps the rate.
constexpr int64_t kFrames = 64;
constexpr int64_t kPaceFrames = 16;
// Frames after which times repeat, mostly.
constexpr int64_t kFewFrames = 4;
// A schedule is improved again where that left less than this of its price.
constexpr double kGain = 0.999;
// Queues of which the whole network is asked together, and how many times its even share of the
// work that is left each may take.
constexpr size_t kTogether = 4;
constexpr int64_t kShares = 8;
// Steps of a frame for each LUT that is worth a trial there, and as many LUTs as are always.
constexpr double kStepsForLut = 1e6, kWorthTrying = 10;
// Steps of the cycle model that may be spent on making queues shorter and on reasons; on what is
// near one queue; and on a part of that for each length that is thought of.
constexpr int64_t kShrinkWork = 60'000'000, kNearWork = 600'000, kSoonWork = 50'000;
// Steps of blocks that may be moved in search of a schedule for shorter queues, and frames of the
// whole network for one of them: few at first, because most that is found is near. More than one
// found nothing better for ResNet-18.
constexpr int64_t kMoveWork = 150'000'000;
constexpr double kFewFramesMoved = 1.0 / 32, kFramesMoved = 1;
// Those of the model on the search for the cheapest queues of all, and on one frame of a network
// for which that is tried.
constexpr int64_t kSearchWork = 10'000'000;
constexpr int64_t kSmallFrame = 1'500;
// Those of either where each queue is to be the least.
constexpr int64_t kLeastWork = 100'000'000'000;
// Those that may be spent on reasons alone.
constexpr int64_t kJudgeWork = 2'000'000'000;
// Beats of a queue that is never full.
constexpr int64_t kEndless = int64_t{1} << 40;
// What a block memory is worth in LUTs, and a flip-flop; and a bit of memory, so that of queues of
// one price the shorter wins.
constexpr double kLutsOfBlock = 190, kLutsOfRegister = 0.25, kLutsOfBit = 1e-3;

// What the memory of one queue is worth, behind a node from whose issue of a beat it takes `depth`
// cycles until that is visible.
double queue_luts(int64_t width, int64_t beats, int64_t depth) {
  Rhythm rhythm;
  rhythm.depth = depth;
  // A deep queue of a power of two is cheaper than one of a beat less. Searches count on more beats
  // never being cheaper, so it is priced like that one.
  const bool deep = beats > kLutQueueDepth;
  rhythm.queue = deep && (beats & (beats - 1)) == 0 ? beats - 1 : beats;
  const Cost cost = queue_cost(rhythm, width);
  return cost.lut + kLutsOfRegister * cost.ff + kLutsOfBlock * cost.bram18;
}

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
    for (Node* node : nodes_) {
      const auto queue = node->attr.find("queue");
      const std::optional<Attr> before =
          queue == node->attr.end() ? std::nullopt : std::optional(queue->second);
      std::array<int64_t, 2>& depths = depths_[node];
      for (const bool deep : {false, true}) {
        node->attr["queue"] = deep ? kLutQueueDepth + 1 : kLutQueueDepth;
        depths[deep ? 1 : 0] = node->op->rhythm(*node, family).depth;
      }
      if (before)
        node->attr["queue"] = *before;
      else
        node->attr.erase("queue");
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

  // Some of the blocks alone, with queues of so many beats behind one node.
  StreamGraph part(const std::vector<bool>& kept, const Node& node, int64_t queue) const {
    StreamGraph part = part_of(streams_, kept);
    for (StreamBlock& block : part.blocks) {
      if (block.kind != StreamBlock::Kind::node || block.node != &node) continue;
      block.rhythm.queue = queue;
      block.rhythm.depth = depth(node, queue);
      for (size_t link : block.out) part.links[link].queue = queue;
    }
    return part;
  }

  // Of one link's queue.
  double price(size_t link, int64_t beats) const {
    return queue_price(streams_.links[link].stream.width(), beats, depth(link, beats));
  }

  // Of all queues behind a node, if they are so long; and without what bits count.
  double price(const Node& node, int64_t beats) const {
    double sum = 0;
    for (size_t link : block(&node).out) sum += price(link, beats);
    return sum;
  }
  double luts(const Node& node, int64_t beats) const {
    double sum = 0;
    for (size_t link : block(&node).out)
      sum += queue_luts(streams_.links[link].stream.width(), beats, depth(link, beats));
    return sum;
  }

  Schedule schedule() const { return {streams_, interval_}; }
  // What a schedule is to be cheap by. All queues behind a node are as long as the longest of them.
  double worth(size_t link, int64_t beats) const {
    return static_cast<double>(streams_.blocks[streams_.links[link].from].out.size()) *
           price(link, beats);
  }

 private:
  // Cycles from a node's issue of a beat until that is visible behind such a queue.
  int64_t depth(const Node& node, int64_t queue) const {
    return depths_.at(&node)[queue > kLutQueueDepth ? 1 : 0];
  }
  int64_t depth(size_t link, int64_t queue) const {
    return depth(*streams_.blocks[streams_.links[link].from].node, queue);
  }

  Family family_;
  std::vector<Node*> nodes_;
  StreamGraph streams_;
  std::map<const Node*, size_t> block_of_;
  std::map<const Node*, std::array<int64_t, 2>> depths_;  // with a queue of registers, of memory
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
// everything behind it: the schedule follows, and such a queue stays long, but for one try with
// those short that came out so.
Schedule schedule_queues(Network& network, const std::map<std::string, int64_t>& least) {
  std::map<const Node*, int64_t> floor;
  for (const Node* node : network.nodes()) floor[node] = least_of(least, *node);
  const auto needed_by = [&](const Node* node, const std::vector<int64_t>& needed) {
    int64_t queue = least_of(least, *node);
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
    floor[node] = least_of(least, *node);
    network.set(*node, std::max(floor[node], needed_by(node, needed)));
    relaxed = true;
  }
  if (!relaxed) return schedule;
  schedule.follow_depths();
  schedule.improve_blocks(worth);
  settle();
  return schedule;
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
// they are: by asking the cycle model what parts of the network do, and the whole.
class Judge {
 public:
  // `least`: what is asked for, by name. `work`: steps of the cycle model that may be spent.
  Judge(Network& network, const std::map<std::string, int64_t>& least, int64_t latency,
        int64_t work)
      : network_(network),
        least_(least),
        latency_(latency),
        work_(work),
        all_(network.streams().blocks.size(), true) {
    for (const StreamBlock& block : network.streams().blocks) steps_ += block.rhythm.steps();
  }

  // Why each queue isn't a beat shorter, in the order of the nodes.
  std::vector<QueueDepth> reasons() {
    std::vector<QueueDepth> depths = near_reasons(work_ / 2);
    for (const size_t i : spare(depths)) depths[i].reason = QueueDepth::Reason::spare;
    return depths;
  }

  // The same after each was made as short as the others let it be, the dearest first: as far as
  // `schedule`, which fits them as they are, can be moved, by `move_work` steps of blocks, and then
  // as parts of the network and the whole tell.
  std::vector<QueueDepth> shorten(const Schedule& schedule, int64_t move_work) {
    std::vector<QueueDepth> depths = near_reasons(near_work(network_.nodes().size()));
    // Where the whole network can be asked of each, it tells more. The first frame's latency does
    // not follow from a schedule.
    const auto open = static_cast<int64_t>(untried(depths).size());
    if (latency_ == kAnyLatency && kFewFrames * steps_ * open > kShrinkWork) {
      move_schedule(schedule, depths, move_work);
      add_near_reasons(depths, near_work(untried(depths).size()));
    }
    for (const size_t i : spare(depths)) {
      Node& node = *network_.nodes()[i];
      if (work_ > 0) depths[i] = shortest(node, depths[i]);
      network_.set(node, depths[i].beats);
    }
    return depths;
  }

 private:
  using Kept = std::vector<bool>;   // by block
  using Parts = std::vector<Kept>;  // each larger than those before it
  enum class Verdict { slower, later, enough, unknown };
  struct Trial {
    Verdict verdict = Verdict::unknown;
    // slower: of a frame, at least, or 0 when everything stops; later: of the first frame
    double cycles = 0;
    int64_t work = 0;
  };

  int64_t near_work(size_t queues) const {
    return std::min(work_ / 2, kNearWork * static_cast<int64_t>(queues));
  }

  std::vector<QueueDepth> near_reasons(int64_t work) {
    std::vector<QueueDepth> depths;
    for (const Node* node : network_.nodes())
      depths.push_back({node->name, node->integer("queue"), QueueDepth::Reason::untried, {}, 0});
    add_near_reasons(depths, work);
    return depths;
  }

  // Where there is none yet: those that need no trial, and those of which some blocks around them
  // tell; each is asked for by itself, for its share of the work.
  void add_near_reasons(std::vector<QueueDepth>& depths, int64_t work) {
    const std::vector<Node*>& nodes = network_.nodes();
    const std::vector<size_t> open = untried(depths);
    if (open.empty()) return;
    std::vector<int64_t> spent(open.size(), 0);
    const int64_t share = work / static_cast<int64_t>(open.size());
    parallel_for(open.size(), [&](size_t k) {
      const Node& node = *nodes[open[k]];
      QueueDepth& depth = depths[open[k]];
      if (depth.beats <= least_of(least_, node)) return give_reason(depth);
      for (const Kept& kept : parts_around(node)) {
        if (spent[k] >= share) return;
        const Trial trial = attempt(kept, node, depth.beats - 1, share - spent[k]);
        spent[k] += trial.work;
        if (trial.verdict == Verdict::slower) return give_reason(depth, kept, trial);
      }
    });
    for (const int64_t steps : spent) work_ -= steps;
  }

  static std::vector<size_t> untried(const std::vector<QueueDepth>& depths) {
    std::vector<size_t> found;
    for (size_t i = 0; i < depths.size(); ++i) {
      if (depths[i].reason == QueueDepth::Reason::untried) found.push_back(i);
    }
    return found;
  }

  std::vector<size_t> dearest_untried(const std::vector<QueueDepth>& depths) const {
    std::vector<size_t> order = untried(depths);
    const auto price = [&](size_t i) {
      return network_.price(*network_.nodes()[i], depths[i].beats);
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return price(a) > price(b); });
    return order;
  }

  // Of the work that is left, what one of so many queues may take.
  static int64_t share_of(int64_t work, size_t queues) {
    return work / std::max<int64_t>(1, static_cast<int64_t>(queues) / kShares);
  }

  // Of a queue that has no more than it must have.
  static void give_reason(QueueDepth& depth) {
    depth.reason = depth.beats == 1 ? QueueDepth::Reason::one : QueueDepth::Reason::asked;
  }
  // Of what one beat less did.
  void give_reason(QueueDepth& depth, const Kept& kept, const Trial& trial) const {
    depth.reason = trial.verdict == Verdict::slower   ? QueueDepth::Reason::slower
                   : trial.verdict == Verdict::later  ? QueueDepth::Reason::later
                   : trial.verdict == Verdict::enough ? QueueDepth::Reason::spare
                                                      : QueueDepth::Reason::untried;
    depth.cycles = trial.cycles;
    depth.among.clear();
    for (size_t b = 0; b < kept.size() && trial.verdict == Verdict::slower; ++b) {
      const StreamBlock& block = network_.streams().blocks[b];
      if (kept[b] && block.kind == StreamBlock::Kind::node) depth.among.push_back(block.name);
    }
  }

  // Makes those shorter that pay, and then each to the beat.
  void move_schedule(const Schedule& schedule, std::vector<QueueDepth>& depths, int64_t work) {
    std::vector<int64_t> queues(network_.streams().links.size(), kEndless);
    for (const Node* node : network_.nodes()) {
      for (const size_t link : network_.block(node).out) queues[link] = node->integer("queue");
    }
    Fitter fitter(schedule, std::move(queues));
    struct Round {
      double frames;  // of the whole network, that may be moved for one trial
      bool to_the_beat;
    };
    for (const auto& [frames, to_the_beat] :
         {Round{kFewFramesMoved, false}, {kFramesMoved, false}, {kFramesMoved, true}}) {
      const auto most = static_cast<int64_t>(frames * static_cast<double>(steps_));
      const std::vector<size_t> order = dearest_untried(depths);
      for (size_t k = 0; k < order.size() && work > 0; ++k) {
        QueueDepth& depth = depths[order[k]];
        Node& node = *network_.nodes()[order[k]];
        const int64_t share = share_of(work, order.size() - k);
        int64_t left = share;
        depth = fitted(fitter, node, depth.beats, to_the_beat, most, left);
        work -= share - left;
        network_.set(node, depth.beats);
      }
    }
  }

  // A part of the network around a queue, and a number of beats of which it is known that it bears
  // them, or that it doesn't soon show that it doesn't.
  struct Near {
    Kept kept;
    int64_t bears;
  };

  // As short as the schedule can be moved to, by at most so many steps at once; between that and
  // what is too short, if that isn't next to it or doesn't pay, there may be more.
  QueueDepth fitted(Fitter& fitter, const Node& node, int64_t enough, bool to_the_beat,
                    int64_t most, int64_t& work) {
    QueueDepth least{node.name, least_of(least_, node), {}, {}, 0};
    give_reason(least);
    std::vector<Near> near;
    for (Kept& kept : parts_around(node)) near.push_back({std::move(kept), enough - 1});
    // What shows soon shows at little cost. The least of which nothing does is often enough; if it
    // isn't, one less than is known to be may not be, and then the middle is tried.
    for (int trial = 0; least.beats < enough; ++trial) {
      if (work > 0) leave_out_short(near, node, enough, least);
      if (least.beats == enough) break;
      if (work <= 0 || (!to_the_beat && !pays(node, least.beats, enough))) {
        least.beats = enough;
        least.reason = QueueDepth::Reason::untried;
        break;
      }
      const int64_t queue = trial == 0   ? least.beats
                            : trial == 1 ? enough - 1
                                         : least.beats + (enough - least.beats) / 2;
      int64_t left = std::min(most, work);
      work -= left;
      const bool fits = fitter.fit(network_.block(&node).out, queue, left);
      work += left;
      if (fits) {
        enough = queue;
      } else {
        least.beats = queue + 1;
        least.reason = QueueDepth::Reason::untried;
      }
    }
    return least;
  }

  // Raises `least`, up to `enough`, to the least of which no part soon shows that it is too short.
  void leave_out_short(std::vector<Near>& near, const Node& node, int64_t enough,
                       QueueDepth& least) {
    int64_t queue = least.beats;
    for (int64_t step = 1; least.beats < enough;) {
      if (is_too_short(near, node, queue, least)) {
        queue = std::min(least.beats + step, enough) - 1;
        step *= 2;
      } else {
        enough = queue;
        queue = least.beats + (enough - least.beats) / 2;
      }
    }
  }

  // Whether one of the parts soon shows that it doesn't bear so many beats; then that is why
  // `least` isn't shorter.
  bool is_too_short(std::vector<Near>& near, const Node& node, int64_t queue, QueueDepth& least) {
    for (auto& [kept, bears] : near) {
      if (queue >= bears) continue;
      const Trial trial = attempt(kept, node, queue, std::min(work_, kSoonWork));
      work_ -= trial.work;
      if (trial.verdict == Verdict::slower) {
        least.beats = queue + 1;
        give_reason(least, kept, trial);
        return true;
      }
      bears = queue;
    }
    return false;
  }

  bool pays(const Node& node, int64_t low, int64_t high) const {
    return network_.luts(node, high) - network_.luts(node, low) >=
           std::min(static_cast<double>(steps_) / kStepsForLut, kWorthTrying);
  }

  // Those which the network bears one beat shorter, each by itself, the dearest first. Where it
  // doesn't, that is the reason.
  std::vector<size_t> spare(std::vector<QueueDepth>& depths) {
    const std::vector<size_t> order = dearest_untried(depths);
    std::vector<size_t> found;
    for (size_t done = 0; done < order.size() && work_ > 0;) {
      const size_t count = std::min(kTogether, order.size() - done);
      const int64_t share = share_of(work_, order.size() - done) / static_cast<int64_t>(count);
      std::vector<Trial> trials(count);
      parallel_for(count, [&](size_t k) {
        const size_t i = order[done + k];
        trials[k] = one_less(*network_.nodes()[i], depths[i], share);
      });
      for (size_t k = 0; k < count; ++k) {
        work_ -= trials[k].work;
        if (trials[k].verdict == Verdict::enough) found.push_back(order[done + k]);
      }
      done += count;
    }
    return found;
  }

  // What larger and larger parts of the network, and the whole, do with one beat less, and the
  // reason that this is.
  Trial one_less(const Node& node, QueueDepth& depth, int64_t most_work) const {
    const Parts parts = parts_up_to_all(node);
    Trial trial;
    int64_t work = 0;
    for (size_t p = 0; p < parts.size() && work < most_work; ++p) {
      trial = attempt(parts[p], node, depth.beats - 1, most_work - work);
      work += trial.work;
      if (trial.verdict == Verdict::slower || trial.verdict == Verdict::later) {
        give_reason(depth, parts[p], trial);
        break;
      }
      if (p + 1 < parts.size()) trial.verdict = Verdict::unknown;
    }
    trial.work = work;
    return trial;
  }

  // As short as larger and larger parts of the network, and the whole, are known to let it be.
  QueueDepth shortest(const Node& node, const QueueDepth& found) {
    QueueDepth least = found;
    least.beats = least_of(least_, node);
    give_reason(least);
    for (const Kept& kept : parts_up_to_all(node)) lengthen(kept, node, found.beats, least);
    return least;
  }

  // The least with which a part is known to keep the rate, from `least` on and less than `most`, or
  // `most`.
  void lengthen(const Kept& kept, const Node& node, int64_t most, QueueDepth& least) {
    // Too short shows soon, enough after whole frames alone: so first whether any less will do, or
    // what is known to be too short for a smaller part; then from below, by larger and larger
    // steps.
    bool is_first = least.beats == least_of(least_, node);
    for (int64_t enough = most, step = 1; least.beats < enough;) {
      if (work_ <= 0) {
        least.beats = enough;
        least.reason = QueueDepth::Reason::untried;
        return;
      }
      const int64_t queue = is_first ? enough - 1 : std::min(least.beats + step, enough) - 1;
      const Trial trial = attempt(kept, node, queue, work_);
      work_ -= trial.work;
      if (trial.verdict == Verdict::enough) {
        enough = queue, step = 1;
      } else if (trial.verdict != Verdict::unknown || work_ > 0) {
        least.beats = queue + 1, step *= 2;
        give_reason(least, kept, trial);
      }
      is_first = false;
    }
  }

  // A node's block and those inside of the node.
  void keep(Kept& kept, size_t block) const {
    const StreamGraph& graph = network_.streams();
    block = graph.node_of(block);
    if (graph.blocks[block].kind != StreamBlock::Kind::node) return;
    kept[block] = true;
    for (size_t link : graph.blocks[block].in) {
      if (graph.is_ring(link)) kept[graph.links[link].from] = true;
    }
  }
  // And the nodes beside those that are kept, and those on ways between them.
  Kept wider(const Kept& inner) const {
    Kept kept = inner;
    const StreamGraph& graph = network_.streams();
    for (size_t b = 0; b < inner.size(); ++b) {
      if (!inner[b]) continue;
      for (size_t link : graph.blocks[b].in) keep(kept, graph.links[link].from);
      for (size_t link : graph.blocks[b].out) keep(kept, graph.links[link].to);
    }
    Kept behind = kept, before = kept;
    for (size_t b = 0; b < kept.size(); ++b) {
      for (size_t link : graph.blocks[b].in)
        behind[b] = behind[b] || behind[graph.links[link].from];
    }
    for (size_t b = kept.size(); b-- > 0;) {
      for (size_t link : graph.blocks[b].out) before[b] = before[b] || before[graph.links[link].to];
    }
    for (size_t b = 0; b < kept.size(); ++b) {
      if (behind[b] && before[b]) keep(kept, b);
    }
    return kept;
  }
  // Larger and larger parts of the network: a node and those that it gives to, then more and more
  // around them.
  Parts parts_around(const Node& node) const {
    Kept kept(all_.size(), false);
    keep(kept, network_.block_index(&node));
    for (size_t link : network_.block(&node).out) keep(kept, network_.streams().links[link].to);
    Parts parts{kept};
    for (const int rings : {1, 2, 4}) {
      for (int ring = 0; ring < rings; ++ring) kept = wider(kept);
      if (kept != parts.back()) parts.push_back(kept);
    }
    return parts;
  }

  Parts parts_up_to_all(const Node& node) const {
    Parts parts = parts_around(node);
    parts.push_back(all_);
    return parts;
  }

  // What some of the blocks do with so many beats behind a node.
  Trial attempt(const Kept& kept, const Node& node, int64_t queue, int64_t most_work) const {
    return attempt(network_.part(kept, node, queue), &node, kept == all_, most_work);
  }
  Trial attempt(const StreamGraph& part, const Node* near, bool is_whole, int64_t most_work) const {
    Trial trial;
    const std::vector<size_t> blocks = pacers(part, near, is_whole);
    for (size_t i = 0; i < 2 * blocks.size(); ++i) {
      if (trial.work >= most_work || trial.verdict != Verdict::unknown) break;
      const Pace found =
          pace(part, blocks[i % blocks.size()], network_.interval(),
               i < blocks.size() && !is_whole ? kFewFrames : kPaceFrames, most_work - trial.work);
      trial.work += found.work;
      if (found.outcome == Pace::Outcome::keeps) {
        trial.verdict = Verdict::enough;
      } else if (found.outcome == Pace::Outcome::stops) {
        trial.verdict = Verdict::slower;
      } else if (found.outcome == Pace::Outcome::late) {
        trial.verdict = Verdict::slower;
        // The circle has no more frames than were begun.
        trial.cycles = static_cast<double>(network_.interval()) +
                       static_cast<double>(found.cycles) / static_cast<double>(found.frames);
      }
    }
    if (trial.verdict != Verdict::enough || !is_whole || latency_ == kAnyLatency) return trial;
    for (const StreamBlock& block : part.blocks) trial.work += block.rhythm.steps();
    if (const auto latency = first_latency(part); latency > latency_) {
      trial.verdict = Verdict::later;
      trial.cycles = static_cast<double>(*latency);
    }
    return trial;
  }

  // Blocks of which the rate is asked, in order. That is first one that may never wait: the
  // nearest, where a circle shows soonest; in the whole the first, behind which all times soon
  // repeat. Then the node and those that it gives to.
  std::vector<size_t> pacers(const StreamGraph& part, const Node* near, bool is_whole) const {
    std::vector<size_t> fixed, blocks;
    size_t at = 0;
    for (size_t b = 0; b < part.blocks.size(); ++b) {
      const StreamBlock& block = part.blocks[b];
      if (block.kind == StreamBlock::Kind::source || block.kind == StreamBlock::Kind::sink)
        continue;
      if (block.rhythm.steps() == network_.interval()) fixed.push_back(b);
      if (block.kind == StreamBlock::Kind::writer || block.node != near) continue;
      at = b;
      blocks.push_back(b);
      for (const size_t link : block.out) {
        const size_t to = part.links[link].to;
        if (part.blocks[to].kind != StreamBlock::Kind::sink) blocks.push_back(to);
      }
    }
    if (is_whole) at = 0;
    const auto distance = [&](size_t b) { return b > at ? b - at : at - b; };
    const auto nearest = std::min_element(
        fixed.begin(), fixed.end(), [&](size_t a, size_t b) { return distance(a) < distance(b); });
    if (nearest != fixed.end()) blocks.insert(blocks.begin(), *nearest);
    return blocks;
  }

  Network& network_;
  const std::map<std::string, int64_t>& least_;
  const int64_t latency_;  // most cycles of the first frame
  int64_t work_;
  const Kept all_;     // the whole network
  int64_t steps_ = 0;  // of a frame of it
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

double queue_price(int64_t width, int64_t beats, int64_t depth) {
  return queue_luts(width, beats, depth) + kLutsOfBit * static_cast<double>(beats * width);
}

bool QueueResult::least() const {
  return std::all_of(depths.begin(), depths.end(), [](const QueueDepth& depth) {
    return depth.reason != QueueDepth::Reason::untried && depth.reason != QueueDepth::Reason::spare;
  });
}

QueueResult set_queues(Graph& core, Family family, int64_t latency, QueueEffort effort) {
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
    Schedule schedule = network.schedule();
    schedule.choose_sides([&](size_t link, int64_t beats) { return network.worth(link, beats); });
    const std::vector<FifoPlace> places = fifo_places(network, schedule.queues());
    if (!places.empty()) insert_fifos(core, places);
  }
  Network network(core, family);
  const Schedule schedule = schedule_queues(network, least);
  if (latency != kAnyLatency && first_latency(network.streams()) > latency)
    lengthen_queues(network);
  QueueResult result;
  int64_t steps = 0;
  for (const StreamBlock& block : network.streams().blocks) steps += block.rhythm.steps();
  const bool all = effort == QueueEffort::each_the_least;
  result.depths = Judge(network, least, latency, all ? kLeastWork : kShrinkWork)
                      .shorten(schedule, all ? kLeastWork : kMoveWork);
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
      result.depths = Judge(network, least, latency, kShrinkWork).reasons();
      result.price = total();
    }
  }
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
  QueueResult result;
  result.depths = Judge(network, least, latency, kJudgeWork).reasons();
  for (const Node* node : network.nodes()) {
    result.price += network.price(*node, node->integer("queue"));
  }
  result.interval_cycles = network.interval();
  result.latency_cycles = rate.result.latency_cycles;
  return result;
}

}  // namespace foldstream
