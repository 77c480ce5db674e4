// SPDX-License-Identifier: Apache-2.0
#include "src/fold/queue_network.h"

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/op.h"
#include "src/rtl/block.h"
#include "src/sim/cycle_model.h"

namespace foldstream {
namespace {

// What a block memory is worth in LUTs, and a flip-flop; and a bit of memory, so that of queues of
// one price the shorter wins.
constexpr double kLutsOfBlock = 190, kLutsOfRegister = 0.25, kLutsOfBit = 1e-3;

// What the memory of one queue is worth, behind a node from whose issue of a beat it takes `depth`
// cycles until that is visible. Searches count on more beats never being cheaper, but some are:
// deep queues of a power of two of beats, which are priced like those of a beat less, and tables of
// one bit, of which a few are registers and dearer; those are priced like these.
double queue_luts(int64_t width, int64_t beats, int64_t depth) {
  const auto luts = [&](int64_t places) {
    Rhythm rhythm;
    rhythm.depth = depth, rhythm.queue = places;
    const Cost cost = queue_cost(rhythm, width);
    return cost.lut + kLutsOfRegister * cost.ff + kLutsOfBlock * cost.bram18;
  };
  if (beats > kLutQueueDepth) return luts((beats & (beats - 1)) == 0 ? beats - 1 : beats);
  double most = luts(beats);
  for (int64_t fewer = 1; width == 1 && fewer < beats; fewer *= 2)
    most = std::max(most, luts(fewer));
  return most;
}

}  // namespace

QueueNetwork::QueueNetwork(Graph& core, Family family, std::map<std::string, int64_t> least)
    : family_(family), least_(std::move(least)) {
  for (Node& node : core.nodes) {
    if (node.op->kind == Op::Kind::hardware) nodes_.push_back(&node);
  }
  streams_ = stream_graph(core, family);
  for (size_t b = 0; b < streams_.blocks.size(); ++b) {
    const StreamBlock& block = streams_.blocks[b];
    interval_ = std::max(interval_, block.rhythm.steps());
    steps_ += block.rhythm.steps();
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

int64_t QueueNetwork::least(const Node& node) const {
  const auto it = least_.find(node.name);
  return it == least_.end() ? 1 : it->second;
}

void QueueNetwork::set(Node& node, int64_t queue) {
  node.attr["queue"] = queue;
  StreamBlock& changed = streams_.blocks[block_of_.at(&node)];
  changed.rhythm = node.op->rhythm(node, family_);
  for (size_t link : changed.out) streams_.links[link].queue = changed.rhythm.queue;
}

StreamGraph QueueNetwork::part(const std::vector<bool>& kept, const Node& node,
                               int64_t queue) const {
  StreamGraph part = part_of(streams_, kept);
  for (StreamBlock& block : part.blocks) {
    if (block.kind != StreamBlock::Kind::node || block.node != &node) continue;
    block.rhythm.queue = queue;
    block.rhythm.depth = depth(node, queue);
    for (size_t link : block.out) part.links[link].queue = queue;
  }
  return part;
}

double QueueNetwork::price(size_t link, int64_t beats) const {
  return queue_price(streams_.links[link].stream.width(), beats, depth(link, beats));
}

double QueueNetwork::price(const Node& node, int64_t beats) const {
  double sum = 0;
  for (size_t link : block(&node).out) sum += price(link, beats);
  return sum;
}

double QueueNetwork::luts(const Node& node, int64_t beats) const {
  double sum = 0;
  for (size_t link : block(&node).out)
    sum += queue_luts(streams_.links[link].stream.width(), beats, depth(link, beats));
  return sum;
}

double QueueNetwork::price() const {
  double sum = 0;
  for (const Node* node : nodes_) sum += price(*node, node->integer("queue"));
  return sum;
}

double QueueNetwork::worth(size_t link, int64_t beats) const {
  return static_cast<double>(streams_.blocks[streams_.links[link].from].out.size()) *
         price(link, beats);
}

int64_t QueueNetwork::depth(const Node& node, int64_t queue) const {
  return depths_.at(&node)[queue > kLutQueueDepth ? 1 : 0];
}

int64_t QueueNetwork::depth(size_t link, int64_t queue) const {
  return depth(*streams_.blocks[streams_.links[link].from].node, queue);
}

double queue_price(int64_t width, int64_t beats, int64_t depth) {
  return queue_luts(width, beats, depth) + kLutsOfBit * static_cast<double>(beats * width);
}

std::optional<int64_t> first_latency(const StreamGraph& graph) {
  SimOptions options;
  options.frames = 1;
  const SimResult first = simulate(graph, options);
  if (first.deadlock) return std::nullopt;
  return first.latency_cycles;
}

}  // namespace foldstream
