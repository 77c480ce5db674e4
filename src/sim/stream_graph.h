// SPDX-License-Identifier: Apache-2.0
// A core graph seen as blocks and the streams between them: what the cycle model and the queue
// depths work on. Views vanish; values from and to the host become sources and sinks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

struct StreamBlock {
  enum class Kind { source, node, sink };
  Kind kind = Kind::node;
  const Node* node = nullptr;  // of a source, the node that makes the value; null for a sink
  std::string name;
  Rhythm rhythm;
  std::vector<size_t> in, out;  // links by port
};

// The stream from one block to the next, with the queue behind its producer.
struct StreamLink {
  size_t from = 0, from_port = 0;
  size_t to = 0, to_port = 0;
  Stream stream;
  int64_t queue = 1;
};

struct StreamGraph {
  std::vector<StreamBlock> blocks;  // topological order
  std::vector<StreamLink> links;
  std::vector<size_t> sources, sinks;  // blocks; sinks in the order of the graph's outputs

  const std::string& producer(size_t link) const { return blocks[links[link].from].name; }
  const std::string& consumer(size_t link) const { return blocks[links[link].to].name; }
};

// Follows views back to the value whose stream it is.
Value stream_origin(Value value);

// Throws Error when a value has no or several users (a fork is missing), or when two neighbours
// disagree about their stream (a width converter is missing).
StreamGraph stream_graph(const Graph& core, Family family);

}  // namespace foldstream
