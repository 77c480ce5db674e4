// SPDX-License-Identifier: Apache-2.0
// The AXI4-Lite side of a bus of 32-bit words (writable.h).
#pragma once

#include "src/rtl/sv_module.h"

namespace foldstream {

inline constexpr const char* kAxilite = "fst_axilite";  // the cell behind the ports

// Ports s_axilite_* with addresses of so many bits, of bytes, and the cell behind them: it drives
// the wires bus_write, bus_address (of words) and bus_data, and takes bus_answer and bus_mapped.
// The module has aclk and the wire rst.
void add_axilite(SvModule& module, int address_bits);

}  // namespace foldstream
