// SPDX-License-Identifier: Apache-2.0
// Constant words: in look-up tables where there are few, in block memory where there are many, and
// column by column in both where a width would leave a block memory mostly empty.
#pragma once

#include <string>
#include <vector>

#include "src/ir/hardware.h"
#include "src/rtl/sv_module.h"

namespace foldstream {

using RomWord = std::vector<bool>;  // bit 0 first

// The lowest bits of each word are in tables, those above in block memory.
struct RomPlan {
  int64_t table_bits = 0, block_bits = 0;
  Cost cost;  // the register behind the tables included
};
RomPlan plan_rom(int64_t width, int64_t depth);

// Adds the memory of these words: the register `data`, which must be declared, is the word at
// `address` one cycle later. Block memory reads `name`.mem, which is added to `images`, or has its
// words in the text where that is null.
void add_rom(SvModule& module, const std::string& name, const std::vector<RomWord>& words,
             const std::string& address, const std::string& data, std::vector<TextFile>* images);

}  // namespace foldstream
