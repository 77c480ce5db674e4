// SPDX-License-Identifier: Apache-2.0
// The stitcher: from a folded graph of hardware nodes to a complete design in SystemVerilog. Nodes
// become instances of their modules, values become streams; the top has plain streams, a second top
// wraps it in AXI4-Stream.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/hardware.h"
#include "src/rtl/shared_memory.h"
#include "src/rtl/sv_module.h"
#include "src/rtl/writable.h"

namespace foldstream {

// A stream at the edge of the design.
struct DesignPort {
  std::string prefix;  // of the ports: "s" in s_valid_i; "s0", "s1" when there are several
  std::string name;    // of the graph's input or output
  Stream stream;
  Type type;
};

// A memory outside its node's module, and the module that stands behind it: clk_i, address_i and
// word_o; with a place on the bus (writable.h), bus_write_i ... too.
struct DesignMemory {
  MemoryShape shape;
  std::string wires;     // <wires>_address and <wires>_word in the top
  std::string instance;  // in the top
  std::string module;
  std::map<std::string, int64_t> parameters;  // of `module`
  std::vector<SharedPart> parts;  // in the design's banks; none: the memory is the module's own
  std::optional<int64_t> bus_address = {};  // of the first word, in words of the bus, if on it
  MemoryWords first_words = {};             // of a loaded one: what the bus writes before a frame
};

// A stream of weights from outside: the words of a streamed memory, all of them `shape.reads` times
// a frame.
struct DesignWeights {
  std::string prefix;  // of the ports
  std::string name;    // as the cycle model calls it
  std::string node;    // that takes it, by name
  MemoryShape shape;
  Stream stream;
  MemoryWords words;
};

// A memory of which several nodes read parts. The wires of part p are <wires>_part<p>_address and
// <wires>_part<p>_word.
struct DesignBank {
  MemoryBank bank;
  std::string wires;
  std::string instance;  // in the top
  std::string module;
};

struct DesignNode {
  std::string name;                           // of the graph's node
  std::string op;                             // its operator
  std::string instance;                       // in the top
  std::string module;                         // what is instantiated
  std::map<std::string, int64_t> parameters;  // of `module`
  std::vector<DesignMemory> memories;         // outside of it
};

// A stream between two nodes.
struct DesignEdge {
  std::string name;  // stem of its wires in the top
  std::string from;  // the node that gives it, by name
  int port = 0;      // of `from`
  std::string to;    // the node that takes it, by name
  Stream stream;
  Type type;
};

struct Design {
  std::string name;  // of the top module; the AXI4-Stream top is <name>_axis
  Family family = Family::generic;
  std::map<std::string, std::string> files;  // path below rtl/ -> text
  std::vector<DesignPort> inputs, outputs;   // in the graph's order
  std::vector<DesignWeights> weights;        // in the order of the nodes
  std::vector<DesignNode> nodes;             // in the graph's order
  std::vector<DesignEdge> edges;
  std::vector<DesignBank> banks;
  // Above 1 the top has memory_clk_i, so many times as fast as clk_i, each of whose edges is one of
  // its own.
  int64_t memory_clock_ratio = 1;
  // With writable memories: bits of an address on their bus. The top then has bus_write_i,
  // bus_address_i, bus_data_i, and kBusLatency cycles later bus_data_o and bus_mapped_o.
  int64_t bus_address_bits = 0;
  std::vector<SvPort> axis_ports;  // of the AXI4-Stream top
  // The top once more as module <name>_probe, with every edge brought out as p<i>_valid_o,
  // p<i>_ready_o, p<i>_data_o. For simulation; not among `files`.
  std::string probe;

  // What the bus writes before the first frame, because no bitstream holds it.
  std::vector<BusWord> first_writes() const;

  // Paths of memories' contents among `files`, which tools read by their names.
  std::vector<std::string> memories() const;

  // Source files: library cells with the twins of one technology, nodes, tops.
  std::vector<std::string> sources(Family technology) const;
};

// `core` holds inputs, views and hardware nodes; converters and forks are already in it, so that
// each stream has one taker and both ends agree on lanes, bits and beats. Throws Error, naming both
// nodes, where they don't. Equal graphs give equal text.
Design stitch(const Graph& core, Family family);

// A name that SystemVerilog takes for a module, from any text.
std::string module_name(const std::string& text);

}  // namespace foldstream
