// SPDX-License-Identifier: Apache-2.0
// The parts that every generated block has: stream ports, a pipeline of control bits, and an output
// queue with its credits (decision record 1).
#pragma once

#include <string>
#include <vector>

#include "src/ir/hardware.h"
#include "src/ir/type.h"
#include "src/rtl/sv_module.h"

namespace foldstream {

// clk_i, rst_i and one stream on each side.
void add_block_ports(SvModule& module, int64_t width_in, int64_t width_out);

// One stream into the block or out of it: number `index` of `count`, with a number in its name
// where there are several. The prefix of its ports, "s" or "m1".
std::string add_stream_in(SvModule& module, size_t index, size_t count, int64_t width);
void add_stream_in(SvModule& module, const std::string& prefix, int64_t width);
std::string add_stream_out(SvModule& module, size_t index, size_t count, int64_t width);

// An input of a block that takes from several in one step, seen behind its holding register
// (decision record 7). A step looks at `valid` and `data`; the block assigns `take`, which is high
// in the cycle of a step that takes the beat.
struct HeldInput {
  std::string valid, data, take;
};
// A holding register behind the ports <port>_valid_i ..., and these three wires, held_<name>_valid
// ...; the rhythm's `hold` is kHoldPlaces.
HeldInput add_holding_register(SvModule& module, const std::string& port, const std::string& name,
                               int64_t width);
// Ports and holding registers for an input stream of each width.
std::vector<HeldInput> add_held_inputs(SvModule& module, const std::vector<int64_t>& widths);
inline constexpr int64_t kHoldPlaces = 2;
Cost hold_cost(int64_t width);  // of one register

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

// Issue of a block that takes a beat from every held input and gives one in each step: the same
// wires.
void add_join_issue(SvModule& module, const std::vector<HeldInput>& inputs);

// Credits and queue. `give` issues a beat, after the pipeline `push` writes `data`; drives the
// output stream and the wire `available`, which must be declared. With several output streams the
// prefix of this one's ports, "m1", ends the names of its wires: `available_m1`.
void add_output_queue(SvModule& module, const Rhythm& rhythm, int64_t width,
                      const std::string& give, const std::string& push, const std::string& data,
                      const std::string& stream = "m");

// Lanes of an operand with more bits each, by their sign: `signal` itself where they have as many,
// else a wire of that name.
std::string widened(SvModule& module, const std::string& name, const std::string& signal,
                    int64_t lanes, const Type& type, int64_t bits);

// A number of the type with a sign and no bit more than that needs, so that a multiplier is small.
std::string with_sign(const Type& type, const std::string& value);

// Registers that a beat's bits pass between issue and queue.
int64_t stages_of(const Rhythm& rhythm);

// What things cost in the primitives of Xilinx 7-series, which are near those of other families: a
// counter of a controller, whose last place others wait for; one that add_fold_counter makes alone;
// queue and credits; a memory.
Cost counter_cost(int64_t count);
Cost fold_counter_cost(int64_t count);
Cost queue_cost(const Rhythm& rhythm, int64_t width);
Cost memory_cost(int64_t width, int64_t depth);
// One in look-up tables that is read where it is written, whose register for that has a start
// value.
Cost one_port_memory_cost(int64_t width, int64_t depth);

// Of a memory of blocks, whatever its size: of constants; written on one side and read on the
// other; read and written on both.
enum class BlockUse { constants, written, both_sides };
Cost block_memory_cost(BlockUse use, int64_t width, int64_t depth);

// Whether synthesis puts a product of two numbers of so many bits, written as one, into DSP blocks;
// and how many those are.
bool in_multiplier(int64_t a_bits, int64_t b_bits, int64_t product_bits, Family family);
double multipliers(int64_t a_bits, int64_t b_bits);
// A sum or difference of so many bits, written as one: a table for each pair of bits that both
// vary, since the carry chain alone is enough above the shorter number where that has no sign.
double adder_luts(const Type& a, const Type& b, int64_t bits);
// A product written as one, all of its bits.
Cost product_cost(int64_t a_bits, int64_t b_bits, Family family);

// Makes `module` the top of the hardware, and lists the library modules that all its files use.
void add_top(const SvModule& module, Hardware& hardware);

}  // namespace foldstream
