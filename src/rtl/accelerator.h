// SPDX-License-Identifier: Apache-2.0
// A design with movers of its own: it reads its operands and streamed weights from memory and
// writes its results there, over AXI4, as the registers behind one AXI4-Lite port say.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/rtl/stitch.h"

namespace foldstream {

// What carries one stream between memory and the network. In memory a beat fills a slot, lowest
// bit first, and a frame, or all words of the weights once, fills whole words of memory.
struct Mover {
  enum class Kind { operand, result, weights } kind;
  size_t index = 0;         // of the design's inputs, outputs or weights
  std::string port;         // of AXI4: "m_axi_0"; an operand and a result share one
  int64_t beats = 0;        // of a frame, or of all weights
  int64_t slot_bytes = 0;   // a power of two below a word of memory, else whole words
  int64_t frame_bytes = 0;  // in memory
  int64_t address = 0;      // of its three registers on the bus: fst_control
};

struct Accelerator {
  std::string name;              // of the top module
  int64_t word_bytes = 0;        // of memory
  uint32_t identity = 0;         // what its register says, so that a driver can tell designs apart
  int64_t address_bits = 0;      // of bytes on the bus
  int64_t memories_address = 0;  // on the bus, of the memories that the design has on its own
  std::vector<Mover> movers;     // in the order of their registers
  std::vector<SvPort> ports;
  std::map<std::string, std::string> files;  // path below rtl/ -> text; library cells included
};

// Bytes that a beat of this stream fills in a memory of such words.
int64_t slot_bytes(const Stream& stream, int64_t word_bytes);

// `word_bytes` of the memory ports is a power of two, at least 8 and at most 128.
Accelerator make_accelerator(const Design& design, int64_t word_bytes);

}  // namespace foldstream
