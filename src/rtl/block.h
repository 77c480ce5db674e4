// SPDX-License-Identifier: Apache-2.0
// The parts that every generated block has: stream ports, a pipeline of control bits, and an output
// queue with its credits (decision record 1).
#pragma once

#include <string>

#include "src/ir/hardware.h"
#include "src/rtl/sv_module.h"

namespace foldstream {

// clk_i, rst_i and one stream on each side.
void add_block_ports(SvModule& module, int64_t width_in, int64_t width_out);

// `signal` after so many registers; `signal` itself for none. Control is cleared by reset.
std::string delayed_control(SvModule& module, const std::string& signal, int64_t stages);
std::string delayed_data(SvModule& module, const std::string& signal, int64_t width,
                         int64_t stages);

// A counter from 0 to count - 1 that advances with `advance`; gives its width, 0 for a count of 1,
// when there is no counter.
int add_fold_counter(SvModule& module, const std::string& name, int64_t count,
                     const std::string& advance);

// Issue of a block that gives a beat for each it takes: wires `available` and `issue`.
void add_beat_issue(SvModule& module);

// Credits and queue. `give` issues a beat, after the pipeline `push` writes `data`; drives the
// output stream and the wire `available`, which must be declared.
void add_output_queue(SvModule& module, const Rhythm& rhythm, int64_t width,
                      const std::string& give, const std::string& push, const std::string& data);

// What queue and credits cost, a LUT memory of so many words, and the block memories (of 18 Kbit)
// of a deeper one; in the primitives of Xilinx 7-series, which are near those of other families.
Cost queue_cost(const Rhythm& rhythm, int64_t width);
Cost memory_cost(int64_t width, int64_t depth);
double block_memories(int64_t width, int64_t depth);

// Makes `module` the top of the hardware, and lists the library modules that all its files use.
void add_top(const SvModule& module, Hardware& hardware);

}  // namespace foldstream
