// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Frames after which a rate that hasn't become periodic is judged by its second half.
constexpr int64_t kFrames = 64;
// Frames of buffer behind every node beyond which more can't help.
constexpr int64_t kMostFrames = 64;
// Steps of the cycle model that may be spent on making queues smaller.
constexpr int64_t kShrinkWork = 4'000'000;
// Steps of a frame up to which a network also has the least latency that queues can give it.
constexpr int64_t kSmallFrame = 20'000;
// Frames by which the rounds of that search judge a larger one; the last word has more: kFrames, or
// kLastFrames where all streams together have more than kManyBeats in a frame.
constexpr int64_t kFewFrames = 8;
constexpr int64_t kLastFrames = 16;
constexpr int64_t kManyBeats = 1'000'000;
// The least share of a frame that queues are given where short ones don't do is 1 / kMostParts.
constexpr int64_t kMostParts = 128;
// Rounds of the search for queues that are too short.
constexpr int kRounds = 24;
// Times that queues found too short for the blocks that hold them are made longer.
constexpr int kStretches = 12;

class QueueSearch {
 public:
  // `least` is the least allowed for a node, by name.
  QueueSearch(Graph& core, Family family, const std::map<std::string, int64_t>& least)
      : family_(family) {
    std::map<const Node*, int64_t> set;
    for (Node& node : core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      nodes_.push_back(&node);
      const auto it = least.find(node.name);
      least_.push_back(it == least.end() ? 1 : it->second);
      set[&node] = node.integer("queue", 0);
      node.attr.erase("queue");
    }
    streams_ = stream_graph(core, family);
    for (size_t b = 0; b < streams_.blocks.size(); ++b) {
      const StreamBlock& block = streams_.blocks[b];
      interval_ = std::max(interval_, block.rhythm.steps());
      if (block.kind == StreamBlock::Kind::node) block_of_[block.node] = b;
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      full_rate_alone_.push_back(block(i).rhythm.queue);
      index_of_[nodes_[i]] = i;
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      // A queue that is given changes nothing in how others grow: what was found is found again.
      const int64_t queue = set.at(nodes_[i]);
      this->set(i, queue > 0 ? std::max(queue, least_[i]) : full_rate_alone_[i]);
    }
  }

  // Sets queues with which the network keeps its rate; gives the places where a stream of a node
  // with several results needs more room than the others.
  std::vector<FifoPlace> grow() {
    SimOptions options;
    options.frames = last_frames();
    SimResult result = simulate(streams_, options);
    const SimResult first = endless_frame();
    latency_ = first.latency_cycles;
    const bool is_small = first.work <= kSmallFrame;
    const Outcome alone = outcome_of(result);
    if (is_good(alone) || (alone.full_rate && !is_small)) return {};
    std::map<size_t, int64_t> needed;  // places, by link
    std::set<size_t> grown = early_inputs(first);
    if (!is_small) {
      options.frames = kFewFrames;
      if (!grow_evenly(options, grown, needed, result)) {
        grow_all();
        return {};
      }
    }
    // Room without end where beats wait for others, as far as one frame shows it; then, round by
    // round, where the network still stops or its slowest nodes wait.
    for (int round = 0; is_small; ++round) {
      for (size_t link : grown) streams_.links[link].queue = StreamLink::kEndless;
      options.audit.assign(grown.begin(), grown.end());
      result = simulate(streams_, options);
      if (is_good(outcome_of(result))) break;
      if (round == kRounds || !grow_further(result, grown, needed)) {
        grow_all();
        return {};
      }
    }
    for (const auto& [link, beats] : result.queue_needed) needed[link] = beats;
    std::vector<FifoPlace> places;
    for (const auto& [link, beats] : needed) {
      const StreamBlock& from = streams_.blocks[streams_.links[link].from];
      const size_t i = index_of_.at(from.node);
      const bool is_alone = from.out.size() == 1;
      set(i, std::max(full_rate_alone_[i], is_alone ? beats : 0));
      if (!is_alone && beats > full_rate_alone_[i]) places.push_back(place(link, beats));
    }
    return places;
  }

  // With queues that are enough, or nearly so: makes sure that they are, and smaller where that
  // costs nothing.
  QueueResult shrink() {
    Outcome now = outcome();
    for (int stretch = 0; stretch < kStretches && !now.full_rate; ++stretch) {
      // A longer queue may be another memory, with a cycle more, and needs a little more for it.
      for (size_t i = 0; i < nodes_.size(); ++i) {
        const int64_t queue = nodes_[i]->integer("queue");
        if (queue > full_rate_alone_[i]) set(i, queue + queue / 8 + 2);
      }
      now = outcome();
    }
    if (!now.full_rate) {
      grow_all();
      now = outcome();
    }
    FOLDSTREAM_CHECK(now.full_rate);
    latency_ = now.latency;
    // The widest stream first, whatever its queue is now: a folding file that pins what was found
    // then leads to the same. Less room never makes anything earlier, so halving finds the least.
    std::vector<size_t> order(nodes_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return width(a) > width(b); });
    for (size_t i : order) {
      if (work_ > kShrinkWork) break;
      shrink(i);
    }
    return {interval_, latency_, work_ <= kShrinkWork};
  }

 private:
  struct Outcome {
    bool full_rate = false;
    int64_t latency = 0;
  };

  StreamBlock& block(size_t i) { return streams_.blocks[block_of_.at(nodes_[i])]; }

  int64_t width(size_t i) {
    int64_t bits = 0;
    for (size_t link : block(i).out) bits += streams_.links[link].stream.width();
    return bits;
  }

  void set(size_t i, int64_t queue) {
    nodes_[i]->attr["queue"] = queue;
    StreamBlock& changed = block(i);
    changed.rhythm = nodes_[i]->op->rhythm(*nodes_[i], family_);
    for (size_t link : changed.out) streams_.links[link].queue = changed.rhythm.queue;
  }

  // The first frame with queues without end: nothing could make it shorter.
  SimResult endless_frame() const {
    StreamGraph endless = streams_;
    for (StreamLink& link : endless.links) {
      if (endless.blocks[link.from].kind == StreamBlock::Kind::node)
        link.queue = StreamLink::kEndless;
    }
    SimOptions options;
    options.frames = 1;
    return simulate(endless, options);
  }

  // Room for so many frames behind every node, until more of it changes nothing.
  void grow_all() {
    std::optional<Outcome> best;
    for (int64_t frames = 1; frames <= kMostFrames; frames *= 2) {
      for (size_t i = 0; i < nodes_.size(); ++i) {
        int64_t beats = 0;
        for (size_t link : block(i).out) beats = std::max(beats, streams_.links[link].stream.beats);
        set(i, full_rate_alone_[i] + frames * beats);
      }
      const Outcome now = outcome();
      if (best && best->full_rate && now.latency >= best->latency) break;
      best = now;
    }
  }

  // The same share of a frame behind every node with one result, the least that keeps the rate with
  // room without end in `endless`: a node that works in bursts, as windows do from row to row, must
  // not hold up one that has no cycle to lose. False: no share does.
  bool grow_evenly(SimOptions& options, const std::set<size_t>& endless,
                   std::map<size_t, int64_t>& needed, SimResult& result) {
    options.audit.assign(endless.begin(), endless.end());
    for (int64_t parts = kMostParts; parts > 0; parts /= 2) {
      for (size_t i = 0; i < nodes_.size(); ++i) {
        if (block(i).out.size() != 1) continue;
        const size_t link = block(i).out[0];
        if (endless.contains(link) || !may_grow(link)) continue;
        needed[link] = std::max(full_rate_alone_[i], streams_.links[link].stream.beats / parts);
        streams_.links[link].queue = needed[link];
      }
      for (size_t link : endless) streams_.links[link].queue = StreamLink::kEndless;
      result = simulate(streams_, options);
      if (outcome_of(result).full_rate) return true;
    }
    return false;
  }

  bool may_grow(size_t link) const {
    if (link == SIZE_MAX || streams_.links[link].queue == StreamLink::kEndless) return false;
    const StreamBlock& from = streams_.blocks[streams_.links[link].from];
    if (from.kind != StreamBlock::Kind::node) return false;
    const bool is_output = streams_.blocks[streams_.links[link].to].kind == StreamBlock::Kind::sink;
    return from.out.size() == 1 || !is_output;
  }

  // Where streams meet, all but the one that is waited for most.
  std::set<size_t> early_inputs(const SimResult& result) const {
    std::set<size_t> early;
    for (const StreamBlock& block : streams_.blocks) {
      if (block.kind != StreamBlock::Kind::node || block.in.size() < 2) continue;
      const size_t late = *std::max_element(
          block.in.begin(), block.in.end(),
          [&](size_t a, size_t b) { return result.awaited[a] < result.awaited[b]; });
      for (size_t link : block.in) {
        if (link == late) continue;
        if (streams_.is_ring(link)) link = streams_.blocks[streams_.links[link].from].in[0];
        if (may_grow(link)) early.insert(link);
      }
    }
    return early;
  }

  // More room behind nodes that can't afford to wait for it, and before those where beats come in
  // bursts with pauses between. False: nowhere.
  bool grow_further(const SimResult& result, std::set<size_t>& grown,
                    std::map<size_t, int64_t>& stretched) {
    if (result.deadlock) {
      const size_t link = result.deadlock->grow;
      return may_grow(link) && grown.insert(link).second;
    }
    bool any = false;
    const auto stretch = [&](const StreamBlock& block) {
      for (size_t link : block.in) {
        int64_t missed = result.awaited[link];
        if (streams_.is_ring(link)) {
          link = streams_.blocks[streams_.links[link].from].in[0];
          missed = std::max(missed, result.awaited[link]);
        }
        const int64_t most = 2 * streams_.links[link].stream.beats;
        if (missed == 0 || result.waited[link] == 0 || !may_grow(link) || grown.contains(link) ||
            streams_.links[link].queue >= most) {
          continue;
        }
        streams_.links[link].queue = std::min(8 * streams_.links[link].queue, most);
        stretched[link] = streams_.links[link].queue;
        any = true;
      }
    };
    for (const StreamBlock& block : streams_.blocks) {
      if (block.kind != StreamBlock::Kind::node || block.rhythm.steps() < interval_) continue;
      for (size_t link : block.out) {
        if (result.waited[link] > 0 && may_grow(link)) any |= grown.insert(link).second;
      }
      stretch(block);
    }
    if (any) return true;
    // The bursts are further away from the slowest nodes.
    for (const StreamBlock& block : streams_.blocks) {
      if (block.kind == StreamBlock::Kind::node) stretch(block);
    }
    return any;
  }

  FifoPlace place(size_t link, int64_t beats) const {
    const StreamLink& stream = streams_.links[link];
    const StreamBlock& to = streams_.blocks[stream.to];
    const bool held = to.kind == StreamBlock::Kind::writer;
    return {to.node, held ? streams_.links[to.out[0]].to_port : stream.to_port, beats};
  }

  Outcome outcome_of(const SimResult& result) const {
    if (result.deadlock) return {};
    int64_t frames = result.period_frames, cycles = result.period_cycles;
    if (frames == 0) {
      const int64_t half = result.frames / 2;
      frames = result.frames - half;
      cycles = result.frame_out.back() - result.frame_out[static_cast<size_t>(half) - 1];
    }
    return {cycles == frames * interval_, result.latency_cycles};
  }

  int64_t last_frames() const {
    int64_t beats = 0;
    for (const StreamLink& link : streams_.links) beats += link.stream.beats;
    return beats <= kManyBeats ? kFrames : kLastFrames;
  }

  Outcome outcome() {
    SimOptions options;
    options.frames = last_frames();
    const SimResult result = simulate(streams_, options);
    work_ += result.work;
    return outcome_of(result);
  }

  bool is_good(const Outcome& now) const { return now.full_rate && now.latency <= latency_; }
  bool good() { return is_good(outcome()); }

  void shrink(size_t i) {
    int64_t high = nodes_[i]->integer("queue"), low = std::min(least_[i], high);
    while (low < high && work_ <= kShrinkWork) {
      const int64_t middle = low + (high - low) / 2;
      set(i, middle);
      if (good())
        high = middle;
      else
        low = middle + 1;
    }
    set(i, high);
  }

  Family family_;
  std::vector<Node*> nodes_;
  std::vector<int64_t> least_, full_rate_alone_;
  StreamGraph streams_;
  std::map<const Node*, size_t> block_of_, index_of_;
  int64_t interval_ = 0, latency_ = 0, work_ = 0;
};

}  // namespace

QueueResult set_queues(Graph& core, Family family) {
  std::map<std::string, int64_t> least;
  for (Node& node : core.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    least[node.name] = node.integer("queue", 1);
    node.attr.erase("queue");
  }
  const std::vector<FifoPlace> places = QueueSearch(core, family, least).grow();
  if (!places.empty()) insert_fifos(core, places);
  return QueueSearch(core, family, least).shrink();
}

}  // namespace foldstream
