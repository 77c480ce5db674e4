// SPDX-License-Identifier: Apache-2.0
#include "src/sim/stream_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

bool is_hardware(const Node& node) { return node.op->kind == Op::Kind::hardware; }

// A sum over all steps of a frame.
template <class Amount>
int64_t in_frame(const Rhythm& rhythm, const Amount& amount) {
  int64_t sum = 0;
  for (const Block& block : rhythm.frame) {
    for (const Phase& phase : block.phases) sum += block.repeat * phase.steps * amount(phase);
  }
  return sum;
}

// The steps of a frame move as many beats as its streams have, and no step frees what none needed.
void check_rhythm(const Node& node, const StreamBlock& block, const Ports& ports, Family family) {
  const Rhythm& rhythm = block.rhythm;
  if (memory_place(node) == MemoryPlace::streamed) {
    size_t port = ports.in.size();
    for (const MemoryShape& memory : node.op->memories(node, family)) {
      const auto takes = [&](const Phase& phase) { return phase.take >> port & 1; };
      FOLDSTREAM_CHECK(memory.reads > 0 && in_frame(rhythm, takes) == weight_stream(memory).beats);
      ++port;
    }
  }
  FOLDSTREAM_CHECK(rhythm.depth >= 1 && rhythm.queue >= 1 && rhythm.hold >= 0);
  for (size_t port = 0; port < ports.in.size(); ++port) {
    const auto needs = [&](const Phase& phase) { return block.needs(phase, port); };
    FOLDSTREAM_CHECK(in_frame(rhythm, needs) == ports.in[port].beats);
  }
  for (size_t port = 0; port < ports.out.size(); ++port) {
    const auto gives = [&](const Phase& phase) { return phase.give >> port & 1; };
    FOLDSTREAM_CHECK(in_frame(rhythm, gives) == ports.out[port].beats);
  }
  if (!rhythm.store) return;
  FOLDSTREAM_CHECK(rhythm.store->room >= 1 && rhythm.store->beats == ports.in.at(0).beats);
  FOLDSTREAM_CHECK(in_frame(rhythm, [](const Phase& phase) { return phase.release; }) ==
                   rhythm.store->beats);
  int64_t held = 0;
  for (const Block& outer : rhythm.frame) {
    for (int64_t repeat = 0; repeat < outer.repeat; ++repeat) {
      for (const Phase& phase : outer.phases) {
        FOLDSTREAM_CHECK(phase.acquire >= 0 && phase.release >= 0 && (phase.take & 1) == 0);
        // The first and the last step of a phase are the extremes of all its steps.
        const int64_t first = held + phase.acquire - phase.release;
        held += phase.steps * (phase.acquire - phase.release);
        FOLDSTREAM_CHECK(phase.steps == 0 || (first >= 0 && held >= 0));
      }
    }
  }
}

class Builder {
 public:
  Builder(const Graph& core, Family family, WeightStreams weights)
      : core_(core), family_(family), weights_(weights) {}

  StreamGraph build() {
    for (const Node& node : core_.nodes) {
      if (is_hardware(node)) add_block(node);
    }
    for (const Output& output : core_.outputs) add_sink(output);
    graph_.weights = weight_sources_.size();
    graph_.sources.insert(graph_.sources.end(), weight_sources_.begin(), weight_sources_.end());
    for (const StreamBlock& block : graph_.blocks) {
      for (size_t port = 0; port < block.out.size(); ++port) {
        if (block.out[port] == kOpen)
          throw Error(fmt::format("result {} of '{}' has no user", port, block.name));
      }
    }
    return std::move(graph_);
  }

 private:
  static constexpr size_t kOpen = SIZE_MAX;

  void add_block(const Node& node) {
    StreamBlock block{StreamBlock::Kind::node,        &node, node.name,
                      node.op->rhythm(node, family_), {},    {}};
    const Ports ports = node.op->ports(node);
    FOLDSTREAM_CHECK(ports.in.size() == node.in.size() && ports.out.size() == node.out.size());
    check_rhythm(node, block, ports, family_);
    std::vector<std::pair<size_t, size_t>> from;  // sources are blocks too, and come before
    for (size_t port = 0; port < node.in.size(); ++port) {
      const Value value = stream_origin(node.in[port]);
      if (!is_hardware(*value.node) && !made_.contains(value)) add_source(value, ports.in[port]);
      from.push_back(made_.at(value));
    }
    // The places of each input's ring, 0 where it has none.
    std::vector<int64_t> places(node.in.size(), block.rhythm.hold);
    if (block.rhythm.store) places.at(0) = block.rhythm.store->room;
    std::vector<Stream> streams = ports.in;
    if (weights_ == WeightStreams::shown && memory_place(node) == MemoryPlace::streamed) {
      for (const MemoryShape& memory : node.op->memories(node, family_)) {
        streams.push_back(weight_stream(memory));
        places.push_back(block.rhythm.hold);
        from.emplace_back(graph_.blocks.size(), 0);
        weight_sources_.push_back(graph_.blocks.size());
        graph_.blocks.push_back(source(&node, weights_name(node, memory), streams.back()));
      }
    }
    for (size_t port = 0; port < places.size(); ++port) {
      if (places[port] > 0) from[port] = add_writer(node, streams[port], places[port], from[port]);
    }
    block.in.resize(streams.size());
    block.out.assign(node.out.size(), kOpen);
    const size_t index = graph_.blocks.size();
    graph_.blocks.push_back(std::move(block));
    for (size_t port = 0; port < node.out.size(); ++port)
      made_[{const_cast<Node*>(&node), static_cast<int>(port)}] = {index, port};
    for (size_t port = 0; port < from.size(); ++port)
      connect(from[port], index, port, &streams[port]);
  }

  // Offers a beat, then waits until it is taken.
  static StreamBlock source(const Node* node, std::string name, const Stream& stream) {
    Rhythm rhythm{{{1, {{stream.beats, 0, 1}}}}, 0, 1};
    return {StreamBlock::Kind::source, node, std::move(name), std::move(rhythm), {}, {kOpen}};
  }

  std::pair<size_t, size_t> add_writer(const Node& node, const Stream& stream, int64_t places,
                                       std::pair<size_t, size_t> from) {
    const size_t index = graph_.blocks.size();
    Rhythm rhythm{{{1, {{stream.beats, 1, 1}}}}, 1, places};
    graph_.blocks.push_back(
        {StreamBlock::Kind::writer, &node, node.name, std::move(rhythm), {0}, {kOpen}});
    connect(from, index, 0, &stream);
    return {index, 0};
  }

  void add_source(Value value, const Stream& stream) {
    made_[value] = {graph_.blocks.size(), 0};
    graph_.sources.push_back(graph_.blocks.size());
    graph_.blocks.push_back(source(value.node, value.node->name, stream));
  }

  void add_sink(const Output& output) {
    const Value value = stream_origin(output.value);
    if (!is_hardware(*value.node)) {
      throw Error(fmt::format("output '{}' is not made by hardware", output.name),
                  "outputs of the core must come from a hardware node");
    }
    const size_t index = graph_.blocks.size();
    graph_.sinks.push_back(index);
    graph_.blocks.push_back(
        {StreamBlock::Kind::sink, nullptr, output.name, {{{1, {{1, 1, 0}}}}, 0, 1}, {0}, {}});
    connect(made_.at(value), index, 0, nullptr);
    const Stream& stream = graph_.links.back().stream;
    graph_.blocks[index].rhythm.frame[0].phases[0].steps = stream.beats;
  }

  // `expected` is the stream as the user sees it; null for a sink, which takes what comes.
  void connect(std::pair<size_t, size_t> from, size_t to, size_t to_port, const Stream* expected) {
    StreamBlock& producer = graph_.blocks[from.first];
    if (producer.out[from.second] != kOpen) {
      throw Error(fmt::format("result {} of '{}' has several users", from.second, producer.name),
                  "insert stream nodes first: a value with several users needs a fork");
    }
    Stream stream;
    if (producer.kind == StreamBlock::Kind::source || producer.kind == StreamBlock::Kind::writer) {
      stream = *expected;
    } else {
      stream = producer.node->op->ports(*producer.node).out[from.second];
    }
    if (expected != nullptr && !(stream == *expected)) {
      throw Error(
          fmt::format("'{}' gives {} lanes of {} bits in {} beats, '{}' takes {} lanes of "
                      "{} bits in {} beats",
                      producer.name, stream.lanes, stream.bits, stream.beats,
                      graph_.blocks[to].name, expected->lanes, expected->bits, expected->beats),
          "insert stream nodes first: neighbours of different width need a converter");
    }
    producer.out[from.second] = graph_.links.size();
    graph_.blocks[to].in[to_port] = graph_.links.size();
    graph_.links.push_back({from.first, from.second, to, to_port, stream, producer.rhythm.queue});
  }

  const Graph& core_;
  Family family_;
  WeightStreams weights_;
  std::vector<size_t> weight_sources_;
  StreamGraph graph_;
  std::map<Value, std::pair<size_t, size_t>> made_;  // block and port that make a value
};

}  // namespace

Value stream_origin(Value value) {
  while (value.node->op->kind == Op::Kind::view) value = value.node->in.at(0);
  return value;
}

StreamGraph stream_graph(const Graph& core, Family family, WeightStreams weights) {
  return Builder(core, family, weights).build();
}

StreamGraph part_of(const StreamGraph& graph, const std::vector<bool>& kept) {
  StreamGraph part;
  std::vector<size_t> at(graph.blocks.size(), SIZE_MAX);
  const auto add = [&](StreamBlock block) {
    part.blocks.push_back(std::move(block));
    return part.blocks.size() - 1;
  };
  const auto connect = [&](size_t link, size_t from, size_t from_port, size_t to, size_t to_port) {
    const StreamLink& old = graph.links[link];
    part.blocks[from].out.at(from_port) = part.blocks[to].in.at(to_port) = part.links.size();
    part.links.push_back({from, from_port, to, to_port, old.stream, old.queue});
  };
  for (size_t b = 0; b < graph.blocks.size(); ++b) {
    if (!kept[b]) continue;
    const StreamBlock& block = graph.blocks[b];
    for (size_t port = 0; port < block.in.size(); ++port) {
      const StreamLink& link = graph.links[block.in[port]];
      if (kept[link.from]) continue;
      Rhythm offers{{{1, {{link.stream.beats, 0, 1}}}}, 0, 1};
      const size_t source = add({StreamBlock::Kind::source,
                                 graph.blocks[link.from].node,
                                 graph.blocks[link.from].name,
                                 std::move(offers),
                                 {},
                                 {0}});
      part.sources.push_back(source);
    }
    at[b] = add(block);
    if (block.kind == StreamBlock::Kind::source) part.sources.push_back(at[b]);
    if (block.kind == StreamBlock::Kind::sink) part.sinks.push_back(at[b]);
    // The sources just added lie before it, in the order of its ports.
    size_t outside = static_cast<size_t>(std::count_if(
        block.in.begin(), block.in.end(), [&](size_t in) { return !kept[graph.links[in].from]; }));
    for (size_t port = 0; port < block.in.size(); ++port) {
      const StreamLink& link = graph.links[block.in[port]];
      if (kept[link.from]) {
        connect(block.in[port], at[link.from], link.from_port, at[b], port);
      } else {
        connect(block.in[port], at[b] - outside--, 0, at[b], port);
        part.links.back().queue = 1;
      }
    }
  }
  for (size_t l = 0; l < graph.links.size(); ++l) {
    const StreamLink& link = graph.links[l];
    if (!kept[link.from] || kept[link.to]) continue;
    const size_t sink = add({StreamBlock::Kind::sink,
                             nullptr,
                             graph.blocks[link.to].name,
                             {{{1, {{link.stream.beats, 1, 0}}}}, 0, 1},
                             {0},
                             {}});
    part.sinks.push_back(sink);
    connect(l, at[link.from], link.from_port, sink, 0);
  }
  return part;
}

}  // namespace foldstream
