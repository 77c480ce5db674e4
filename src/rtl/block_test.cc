// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/block.h"

#include <gtest/gtest.h>

namespace foldstream {
namespace {

// As many as Yosys 0.70 makes (synth_xilinx -family xc7) of a memory of random words.
TEST(BlockMemory, CountsAreThoseOfSynthesis) {
  struct Found {
    BlockUse use;
    int64_t width, depth;
    double bram18;
  };
  using enum BlockUse;
  for (const Found& found : {
           Found{constants, 16, 4608, 4},  // nine rows side by side, words across blocks
           Found{constants, 40, 6000, 14},
           Found{constants, 36, 1024, 2},
           Found{constants, 36, 1000, 2},
           Found{constants, 3, 6000, 1},
           Found{written, 16, 11264, 11},
           Found{written, 40, 9000, 23},
           Found{written, 64, 9000, 36},
           Found{written, 36, 3000, 6},
           Found{written, 11, 3000, 3},
           Found{written, 3, 3000, 1},
           Found{both_sides, 64, 1024, 4},
           Found{both_sides, 40, 600, 3},
           Found{both_sides, 8, 4608, 3},
           Found{both_sides, 1, 6000, 1},
       }) {
    EXPECT_EQ(block_memory_cost(found.use, found.width, found.depth).bram18, found.bram18)
        << found.width << " bits by " << found.depth;
  }
}

// Above the shorter number only a sign makes another table; without one the carry chain goes on.
TEST(Adder, TakesATableForEachPairOfBits) {
  const auto u = [](int bits) { return integer_type(bits, false, {}); };
  const auto s = [](int bits) { return integer_type(bits, true, {}); };
  EXPECT_EQ(adder_luts(u(1), u(4), 5), 1);
  EXPECT_EQ(adder_luts(s(4), u(8), 10), 8);
  EXPECT_EQ(adder_luts(u(4), s(4), 6), 4);
  EXPECT_EQ(adder_luts(u(1), u(1), 2), 2);
}

TEST(Multiplier, IsForMoreThanEightBitsAndNoSingleOne) {
  EXPECT_TRUE(in_multiplier(5, 4, 9, Family::xilinx));
  EXPECT_FALSE(in_multiplier(4, 4, 8, Family::xilinx));
  EXPECT_FALSE(in_multiplier(1, 16, 17, Family::xilinx));
  EXPECT_FALSE(in_multiplier(8, 8, 16, Family::generic));
}

}  // namespace
}  // namespace foldstream
