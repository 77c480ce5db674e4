// SPDX-License-Identifier: Apache-2.0
// What an operator tells the hardware side about itself: its streams, its legal folding, its
// rhythm, what it costs and the modules that implement it. Decision record 1 defines steps, depth
// and queue exactly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/ir/memory.h"

namespace foldstream {

// One stream of a node: `lanes` elements of `bits` bits in each beat, element 0 in the low bits;
// `beats` beats a frame.
struct Stream {
  int64_t lanes = 1;
  int64_t bits = 1;
  int64_t beats = 1;
  bool operator==(const Stream&) const = default;
  int64_t width() const { return lanes * bits; }
};

struct Ports {
  std::vector<Stream> in, out;
};

// The words of a streamed memory as they arrive. It is no operand: in a rhythm it is the input
// after the last of them.
inline Stream weight_stream(const MemoryShape& shape) {
  return {1, shape.width, shape.depth * shape.reads};
}
// The stream's name, beside those of nodes.
std::string weights_name(const Node& node, const MemoryShape& shape);
// Of one of its words on AXI4-Stream and in the memory that it is read from.
inline int64_t stream_bytes(const MemoryShape& shape) { return (shape.width + 7) / 8; }

// `steps` equal steps in a row. In each of them one beat is taken from every input whose bit is set
// in `take`, and one beat is given to every output whose bit is set in `give`. In a block with a
// store each step further needs `acquire` beats of the store more than the step before it, and
// frees the `release` oldest of those it needed so far.
struct Phase {
  int64_t steps = 1;
  uint32_t take = 0;
  uint32_t give = 0;
  int64_t acquire = 0;
  int64_t release = 0;
  bool operator==(const Phase&) const = default;
};

struct Block {
  int64_t repeat = 1;
  std::vector<Phase> phases;
};

// A memory between input 0 and the steps of a block (decision record 7). Beside the steps a writer
// takes a beat of input 0 in every cycle in which one is valid and one of the `room` places is
// free; input 0 is in no phase's `take`. A beat written in cycle t can be needed by a step from
// cycle t + 1 on; the place of a beat that a step frees in cycle t can be written from cycle t + 1.
struct Store {
  int64_t room = 1;   // places, in beats
  int64_t beats = 1;  // written in a frame: the sum of `acquire` and that of `release`
  bool operator==(const Store&) const = default;
};

// One frame of a node, step by step, and how long a given beat needs to become visible at the
// output (`depth` cycles, queue included). The same frame repeats for ever; frames overlap. The
// only source of cycles in Foldstream.
struct Rhythm {
  std::vector<Block> frame;
  int64_t depth = 1;
  // Beats that the queue behind each output holds: the node's attribute `queue` or, without one,
  // the fewest that keep the full rate.
  int64_t queue = 2;
  std::optional<Store> store = {};
  // Places of a holding register behind each input (decision record 7); 0: none. A block that takes
  // from several inputs in one step has them: a beat moves from the stream into a free place in any
  // cycle, can be taken by a step from the next cycle on, and its place is free again one later.
  int64_t hold = 0;

  int64_t steps() const {  // the initiation interval when never starved or blocked, in cycles
    int64_t total = 0;
    for (const Block& block : frame) {
      for (const Phase& phase : block.phases) total += block.repeat * phase.steps;
    }
    return store ? std::max(total, store->beats) : total;
  }
};

// A folding attribute and its legal values, ascending.
struct Fold {
  std::string attr;
  std::vector<int64_t> legal;
};

// Resources by the counting rules of docs/results.md; ff and lut as mapped for `Device`.
struct Cost {
  double lut = 0, ff = 0, bram18 = 0, uram = 0, dsp = 0;
  double stream = 0;  // bits of streamed weights that it takes from outside in a cycle, at most
  Cost& operator+=(const Cost& other) {
    lut += other.lut, ff += other.ff, bram18 += other.bram18, uram += other.uram, dsp += other.dsp;
    stream += other.stream;
    return *this;
  }
};

// The families whose cells the generators know. `generic` netlists run everywhere; `ultrascale`
// (UltraScale+ and Versal) is `xilinx` (7 series) with wider multipliers.
enum class Family { generic, xilinx, ultrascale };

struct TextFile {
  std::string name;  // file name without folder
  std::string text;
};

// The hardware of one node. `top` is a module with clk_i, rst_i and, for one input and one output,
// s_valid_i, s_ready_o, s_data_i, m_valid_o, m_ready_i, m_data_o; several of a side are numbered:
// s0_valid_i, s1_valid_i ... Memories that stand outside have ports of their own (memory.h).
struct Hardware {
  std::string top;
  std::map<std::string, int64_t> parameters;  // of `top`
  std::vector<TextFile> modules;              // generated SystemVerilog, one module a file
  std::vector<TextFile> memories;             // $readmemh images, referenced by file name alone
  std::vector<std::string> cells;             // library modules used: "fst_queue", "fst_gpc73" ...
  std::vector<OutsideMemory> outside;         // for the top to connect
};

}  // namespace foldstream
