// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "src/ir/op.h"
#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Frames after which a rate that hasn't become periodic is judged by its second half.
constexpr int64_t kFrames = 64;
// Frames of buffer behind every node beyond which more can't help.
constexpr int64_t kMostFrames = 64;

class QueueSearch {
 public:
  QueueSearch(Graph& core, Family family) : core_(core), family_(family) {
    for (Node& node : core.nodes) {
      if (node.op->kind != Op::Kind::hardware) continue;
      nodes_.push_back(&node);
      least_.push_back(node.integer("queue", 1));
      node.attr.erase("queue");
    }
    streams_ = stream_graph(core, family);
    for (size_t b = 0; b < streams_.blocks.size(); ++b) {
      const StreamBlock& block = streams_.blocks[b];
      interval_ = std::max(interval_, block.rhythm.steps());
      if (block.kind == StreamBlock::Kind::node) block_of_[block.node] = b;
    }
    for (size_t i = 0; i < nodes_.size(); ++i)
      full_rate_alone_.push_back(std::max(least_[i], block(i).rhythm.queue));
  }

  QueueResult run() {
    // Frames of buffer until more of it changes nothing: that gives the latency to keep.
    int64_t frames = 1;
    spread(frames);
    Outcome best = outcome();
    for (int64_t more = 2; more <= kMostFrames; more *= 2) {
      spread(more);
      const Outcome now = outcome();
      if (best.full_rate && now.latency >= best.latency) break;
      best = now;
      frames = more;
    }
    FOLDSTREAM_CHECK(best.full_rate);
    latency_ = best.latency;
    // What each node needs alone is often enough for all of them.
    for (size_t i = 0; i < nodes_.size(); ++i) set(i, full_rate_alone_[i]);
    if (!good()) spread(frames);
    // The dearest memory first. Less room never makes anything earlier, so halving finds the least.
    std::vector<size_t> order(nodes_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return memory(a) > memory(b); });
    for (size_t i : order) shrink(i);
    const Outcome now = outcome();
    return {interval_, now.latency};
  }

 private:
  struct Outcome {
    bool full_rate = false;
    int64_t latency = 0;
  };

  StreamBlock& block(size_t i) { return streams_.blocks[block_of_.at(nodes_[i])]; }

  int64_t memory(size_t i) {
    int64_t bits = 0;
    for (size_t link : block(i).out)
      bits += streams_.links[link].queue * streams_.links[link].stream.width();
    return bits;
  }

  void set(size_t i, int64_t queue) {
    nodes_[i]->attr["queue"] = queue;
    StreamBlock& changed = block(i);
    changed.rhythm = nodes_[i]->op->rhythm(*nodes_[i], family_);
    for (size_t link : changed.out) streams_.links[link].queue = changed.rhythm.queue;
  }

  // Room for so many frames behind every node.
  void spread(int64_t frames) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      int64_t beats = 0;
      for (size_t link : block(i).out) beats = std::max(beats, streams_.links[link].stream.beats);
      set(i, full_rate_alone_[i] + frames * beats);
    }
  }

  Outcome outcome() {
    SimOptions options;
    options.frames = kFrames;
    const SimResult result = simulate(streams_, options);
    if (result.deadlock) return {};
    int64_t frames = result.period_frames, cycles = result.period_cycles;
    if (frames == 0) {
      frames = kFrames / 2;
      cycles = result.frame_out.back() - result.frame_out[kFrames / 2 - 1];
    }
    return {cycles == frames * interval_, result.latency_cycles};
  }

  bool good() {
    const Outcome now = outcome();
    return now.full_rate && now.latency <= latency_;
  }

  void shrink(size_t i) {
    int64_t high = nodes_[i]->integer("queue"), low = std::min(least_[i], high);
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      set(i, middle);
      if (good())
        high = middle;
      else
        low = middle + 1;
    }
    set(i, high);
  }

  Graph& core_;
  Family family_;
  std::vector<Node*> nodes_;
  std::vector<int64_t> least_, full_rate_alone_;
  StreamGraph streams_;
  std::map<const Node*, size_t> block_of_;
  int64_t interval_ = 0, latency_ = 0;
};

}  // namespace

QueueResult set_queues(Graph& core, Family family) { return QueueSearch(core, family).run(); }

}  // namespace foldstream
