// SPDX-License-Identifier: Apache-2.0
// A core graph seen as blocks and the streams between them: what the cycle model and the queue
// depths work on. Views vanish; values from and to the host become sources and sinks. A store or a
// holding register (decision record 7) is a link of its own: a writer, which passes beats on one
// cycle later, and behind it a queue of as many beats as there are places.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"

namespace foldstream {

struct StreamBlock {
  enum class Kind { source, node, sink, writer };
  Kind kind = Kind::node;
  // Of a source, the node that makes the value; of a writer, the node it belongs to; null for a
  // sink.
  const Node* node = nullptr;
  std::string name;  // that of the node
  Rhythm rhythm;
  std::vector<size_t> in, out;  // links by port

  // What a step of this phase needs beyond what those before it needed, and what it frees, of the
  // beats at an input.
  int64_t needs(const Phase& phase, size_t port) const {
    return stored(port) ? phase.acquire : phase.take >> port & 1;
  }
  int64_t frees(const Phase& phase, size_t port) const {
    return stored(port) ? phase.release : phase.take >> port & 1;
  }
  bool stored(size_t port) const { return port == 0 && rhythm.store.has_value(); }
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
  size_t weights = 0;                  // so many of the sources, the last ones, give weights

  // Inside one node: behind a writer.
  bool is_ring(size_t link) const {
    return blocks[links[link].from].kind == StreamBlock::Kind::writer;
  }
  // The block whose input a writer fills; any other block itself.
  size_t node_of(size_t block) const {
    return blocks[block].kind == StreamBlock::Kind::writer ? links[blocks[block].out[0]].to : block;
  }
  const std::string& producer(size_t link) const { return blocks[links[link].from].name; }
  const std::string& consumer(size_t link) const { return blocks[links[link].to].name; }
};

// Follows views back to the value whose stream it is.
Value stream_origin(Value value);

// Streams of weights from outside are sources of their own, called as weights_name says, or left
// out: one that always offers a word keeps no step waiting.
enum class WeightStreams { left_out, shown };

// Throws Error when a value has no or several users (a fork is missing), or when two neighbours
// disagree about their stream (a width converter is missing).
StreamGraph stream_graph(const Graph& core, Family family,
                         WeightStreams weights = WeightStreams::left_out);

// The kept blocks alone (a node's writers are kept with it), every stream from elsewhere always
// offered and every stream to elsewhere always accepted. Whatever rate they don't reach, the whole
// doesn't either.
StreamGraph part_of(const StreamGraph& graph, const std::vector<bool>& kept);

}  // namespace foldstream
