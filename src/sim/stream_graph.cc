// SPDX-License-Identifier: Apache-2.0
#include "src/sim/stream_graph.h"

#include <fmt/format.h>

#include <map>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

bool is_hardware(const Node& node) { return node.op->kind == Op::Kind::hardware; }

// Beats that all steps of a frame take from, or give to, one port.
int64_t beats_of(const Rhythm& rhythm, uint32_t Phase::*side, size_t port) {
  int64_t beats = 0;
  for (const Block& block : rhythm.frame) {
    for (const Phase& phase : block.phases) {
      if (phase.*side >> port & 1) beats += block.repeat * phase.steps;
    }
  }
  return beats;
}

class Builder {
 public:
  Builder(const Graph& core, Family family) : core_(core), family_(family) {}

  StreamGraph build() {
    for (const Node& node : core_.nodes) {
      if (is_hardware(node)) add_block(node);
    }
    for (const Output& output : core_.outputs) add_sink(output);
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
    FOLDSTREAM_CHECK(block.rhythm.depth >= 1 && block.rhythm.queue >= 1);
    for (size_t port = 0; port < ports.in.size(); ++port)
      FOLDSTREAM_CHECK(beats_of(block.rhythm, &Phase::take, port) == ports.in[port].beats);
    for (size_t port = 0; port < ports.out.size(); ++port)
      FOLDSTREAM_CHECK(beats_of(block.rhythm, &Phase::give, port) == ports.out[port].beats);
    std::vector<std::pair<size_t, size_t>> from;  // sources are blocks too, and come before
    for (size_t port = 0; port < node.in.size(); ++port) {
      const Value value = stream_origin(node.in[port]);
      if (!is_hardware(*value.node) && !made_.contains(value)) add_source(value, ports.in[port]);
      from.push_back(made_.at(value));
    }
    block.in.resize(node.in.size());
    block.out.assign(node.out.size(), kOpen);
    const size_t index = graph_.blocks.size();
    graph_.blocks.push_back(std::move(block));
    for (size_t port = 0; port < node.out.size(); ++port)
      made_[{const_cast<Node*>(&node), static_cast<int>(port)}] = {index, port};
    for (size_t port = 0; port < from.size(); ++port)
      connect(from[port], index, port, &ports.in[port]);
  }

  void add_source(Value value, const Stream& stream) {
    Rhythm rhythm{{{1, {{stream.beats, 0, 1}}}}, 0, 1};  // offers a beat, then waits until taken
    made_[value] = {graph_.blocks.size(), 0};
    graph_.sources.push_back(graph_.blocks.size());
    graph_.blocks.push_back(
        {StreamBlock::Kind::source, value.node, value.node->name, std::move(rhythm), {}, {kOpen}});
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
    if (producer.kind == StreamBlock::Kind::source) {
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
  StreamGraph graph_;
  std::map<Value, std::pair<size_t, size_t>> made_;  // block and port that make a value
};

}  // namespace

Value stream_origin(Value value) {
  while (value.node->op->kind == Op::Kind::view) value = value.node->in.at(0);
  return value;
}

StreamGraph stream_graph(const Graph& core, Family family) { return Builder(core, family).build(); }

}  // namespace foldstream
