// SPDX-License-Identifier: Apache-2.0
// Boards and parts as data: what each FPGA holds, and which FPGA sits on which board.
#pragma once

#include <span>
#include <string_view>

#include "src/ir/hardware.h"

namespace foldstream {

// One FPGA. Counts are what the vendor's tools report for the whole device.
struct Part {
  std::string_view name;          // as the vendor's tools want it
  std::string_view architecture;  // "7series", "ultrascale_plus", "versal", "ecp5", "ice40", ...
  Family family = Family::generic;
  int lut_inputs = 6;  // of one LUT as counted here
  int64_t lut = 0, ff = 0;
  int64_t bram18 = 0;  // memory blocks in units of 18 Kbit, rounded down over the whole device
  int64_t uram = 0;    // blocks of 288 Kbit
  int64_t dsp = 0;
};

enum class Shell { none, zynq, alveo };

struct Board {
  std::string_view name;
  std::string_view part;
  Shell shell = Shell::none;
  int stream_bits = 0;  // width of the memory port a shell moves frames over; 0 without a shell
  // What streams of weights may have: so many of these ports, and of its memory's peak rate, in
  // Gbit/s, the share kUsableMemory. 0: not known.
  int weight_ports = 0;
  double memory_gbits = 0;
  std::string_view vendor_files = {};  // what Vivado's board files call it; none: nothing is known
  double crystal_mhz = 0;  // of a Zynq-7000's processor, for where those files are not installed
};

// Refreshes, and turns between rows and between reading and writing, take the rest.
inline constexpr double kUsableMemory = 0.75;

// Bits a second that streams of weights may bring in at this clock; 0 where it is not known.
double weight_bandwidth(const Board& board, double clock_mhz);

std::span<const Part> parts();
std::span<const Board> boards();

// Names are compared without case, and a part also by the beginning of its name when that is
// unique ("xc7z020"). Throws Error with the nearest names.
const Part& find_part(std::string_view name);
const Board& find_board(std::string_view name);

}  // namespace foldstream
