// SPDX-License-Identifier: Apache-2.0
#include "src/fold/memory_packing.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <set>

#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int64_t kBlockWords = 1024, kBlockWidth = 18;

std::span<const BlockMode> modes() { return block_modes("7series"); }

// From 1 to a limit.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t operator()(int64_t limit) {
    return 1 + static_cast<int64_t>(engine_() % static_cast<uint32_t>(limit));
  }

 private:
  std::mt19937 engine_;
};

// Every bit of every memory in one place, no two parts of a bank in the same words, and no more of
// them than ports can read.
void expect_complete(std::span<const ConstantMemory> memories, const MemoryPacking& packing,
                     int64_t ratio) {
  std::vector<std::vector<int>> times;
  for (const ConstantMemory& memory : memories) times.emplace_back(memory.width * memory.depth, 0);
  int64_t blocks = 0, bits = 0;
  for (const MemoryBank& bank : packing.banks) {
    blocks += bank.blocks;
    ASSERT_LE(static_cast<int64_t>(bank.parts.size()), 2 * ratio);
    std::vector<int> taken(bank.mode.words, 0);
    for (const MemoryPart& part : bank.parts) {
      ASSERT_LE(part.bits, bank.width());
      ASSERT_LE(part.offset + part.words, bank.mode.words);
      for (int64_t word = 0; word < part.words; ++word) {
        EXPECT_EQ(++taken[part.offset + word], 1);
        for (int64_t bit = 0; bit < part.bits; ++bit) {
          const int64_t column = part.first_bit + bit;
          ASSERT_LT(column, memories[part.memory].width);
          ASSERT_LT(part.first_word + word, memories[part.memory].depth);
          ++times[part.memory][(part.first_word + word) * memories[part.memory].width + column];
        }
      }
    }
  }
  for (const std::vector<int>& memory : times) {
    bits += static_cast<int64_t>(memory.size());
    EXPECT_EQ(std::set<int>(memory.begin(), memory.end()), std::set<int>{1});
  }
  EXPECT_EQ(blocks, packing.blocks);
  EXPECT_EQ(bits, packing.bits);
  EXPECT_GE(packing.blocks, packing.bound);
}

// The fewest blocks when strips as wide as a port are packed whole: every set of strips that fits a
// block, for every set of strips that is left.
int64_t fewest_whole(std::span<const ConstantMemory> memories, int64_t ratio) {
  std::vector<int64_t> strips;
  for (const ConstantMemory& memory : memories) {
    for (int64_t bit = 0; bit < memory.width; bit += kBlockWidth) strips.push_back(memory.depth);
  }
  const uint32_t all = (1u << strips.size()) - 1;
  std::vector<bool> fits(all + 1, false);
  for (uint32_t set = 1; set <= all; ++set) {
    int64_t words = 0;
    for (size_t i = 0; i < strips.size(); ++i) words += (set >> i & 1) != 0 ? strips[i] : 0;
    fits[set] = words <= kBlockWords && std::popcount(set) <= 2 * ratio;
  }
  std::vector<int64_t> fewest(all + 1, 0);
  for (uint32_t set = 1; set <= all; ++set) {
    fewest[set] = INT64_MAX;
    for (uint32_t block = set; block > 0; block = (block - 1) & set) {
      if (fits[block]) fewest[set] = std::min(fewest[set], 1 + fewest[set ^ block]);
    }
  }
  return fewest[all];
}

TEST(MemoryPacking, NeverWorseThanTheBestWayToPackWholeStrips) {
  Random random(1);
  int proved = 0;
  for (int round = 0; round < 30; ++round) {
    const int64_t ratio = 1 + round % 3;
    std::vector<ConstantMemory> memories;
    int64_t strips = 0;
    while (true) {
      const ConstantMemory memory{random(70), 16 * random(kBlockWords / 16)};
      strips += (memory.width + kBlockWidth - 1) / kBlockWidth;
      if (strips > 10) break;
      memories.push_back(memory);
    }
    const MemoryPacking packing = pack_memories(memories, modes(), ratio);
    expect_complete(memories, packing, ratio);
    EXPECT_LE(packing.blocks, fewest_whole(memories, ratio)) << "round " << round;
    proved += packing.optimal ? 1 : 0;
  }
  EXPECT_GT(proved, 18);
}

TEST(MemoryPacking, HoldsEveryBitOnce) {
  Random random(2);
  for (int round = 0; round < 5; ++round) {
    const int64_t ratio = 1 + round % 4;
    std::vector<ConstantMemory> memories;
    for (int i = 0; i < 1 + round % 7; ++i) {
      memories.push_back({random(400), 4 * random(round % 2 == 0 ? 250 : 2250)});
    }
    const auto of = round % 3 == 0 ? block_modes("versal") : modes();
    expect_complete(memories, pack_memories(memories, of, ratio), ratio);
  }
  // Deeper than the deepest mode.
  const std::vector<ConstantMemory> deep = {{3, 51200}, {20, 40000}};
  expect_complete(deep, pack_memories(deep, modes(), 1), 1);
}

TEST(MemoryPacking, SharesPorts) {
  const std::vector<ConstantMemory> alike(4, {kBlockWidth, kBlockWords / 4});
  EXPECT_EQ(pack_memories(alike, modes(), 1).blocks, 2);
  EXPECT_EQ(pack_memories(alike, modes(), 2).blocks, 1);
  // A wide memory alone reads both ports of its blocks.
  const std::vector<ConstantMemory> wide = {{36, 512}};
  EXPECT_EQ(pack_memories(wide, modes(), 1).blocks, 1);
  EXPECT_EQ(pack_memories({}, modes(), 1).blocks, 0);
}

TEST(MemoryPacking, BoundCountsBitsAndReads) {
  const std::vector<ConstantMemory> deep = {{18, 4096}}, wide = {{360, 10}};
  EXPECT_EQ(block_bound(deep, 1), 4);
  EXPECT_EQ(block_bound(wide, 1), 10);
  EXPECT_EQ(block_bound(wide, 2), 5);
  // A strip that takes all words of its block leaves the other port idle; cut, it takes two reads.
  const std::vector<ConstantMemory> full = {{180, 1024}, {180, 10}};
  EXPECT_EQ(block_bound(full, 1), 15);
  EXPECT_EQ(pack_memories(full, modes(), 1).blocks, 15);
}

// The memories of FINN's published ResNet-50 (1-bit weights, its folding for a U250) that are
// deeper than a look-up table. The published packing of that network uses 79.4 % of its blocks.
TEST(MemoryPacking, ResNet50IsBetterThanPublished) {
  std::vector<ConstantMemory> memories;
  const auto add = [&](int count, int64_t width, int64_t depth) {
    memories.insert(memories.end(), count, {width, depth});
  };
  add(4, 2048, 72), add(2, 2048, 256), add(11, 1024, 256), add(6, 2048, 288);
  add(1, 2048, 1024), add(5, 1024, 1024), add(3, 2048, 1152);
  const MemoryPacking packing = pack_memories(memories, modes(), 2);
  EXPECT_GT(packing.efficiency(), 0.95);
  EXPECT_TRUE(pack_memories(memories, modes(), 1).optimal);
  const MemoryPacking again = pack_memories(memories, modes(), 2);
  EXPECT_EQ(packing.banks.size(), again.banks.size());
  EXPECT_EQ(packing.blocks, again.blocks);
}

TEST(MemoryPacking, RefusesWhatMakesNoSense) {
  const std::vector<ConstantMemory> one = {{8, 100}}, none = {{8, 0}};
  EXPECT_THROW(pack_memories(one, modes(), 0), Error);
  EXPECT_THROW(pack_memories(none, modes(), 1), Error);
  EXPECT_THROW(block_modes("ice40"), Error);
}

}  // namespace
}  // namespace foldstream
