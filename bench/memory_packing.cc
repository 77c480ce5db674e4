// SPDX-License-Identifier: Apache-2.0
// How well memories share blocks, and how long finding that takes: blocks of 18 Kbit alone and
// packed, the lower bound, bits stored of those in the blocks, and processor seconds, for networks
// whose folding is published.
#include "src/fold/memory_packing.h"

#include <fmt/format.h>

#include <ctime>
#include <string>
#include <vector>

#include "src/rtl/block.h"

namespace foldstream {
namespace {

struct Network {
  std::string name;
  std::vector<ConstantMemory> memories;
  void add(int count, int64_t width, int64_t depth) {
    memories.insert(memories.end(), count, {width, depth});
  }
};

// 1-bit weights of FINN's ResNet-50 under its folding for a U250, those deeper than 64 words: width
// is PE times SIMD, depth is weights by width. First and last layer are not in block memory there.
Network resnet50() {
  Network network{"ResNet-50 w1a2, FINN's folding", {}};
  network.add(4, 2048, 72);
  network.add(2, 2048, 256);
  network.add(11, 1024, 256);
  network.add(6, 2048, 288);
  network.add(1, 2048, 1024);
  network.add(5, 1024, 1024);
  network.add(3, 2048, 1152);
  return network;
}

// FINN's CNV w1a1 for a Zynq-7020, the same.
Network cnv() {
  Network network{"CNV w1a1, FINN's folding", {}};
  network.add(1, 512, 144);
  network.add(1, 512, 288);
  network.add(1, 128, 2304);
  network.add(1, 32, 18432);
  network.add(1, 4, 32768);
  network.add(1, 8, 32768);
  network.add(1, 5, 1024);
  return network;
}

void show(const Network& network) {
  double alone = 0;
  for (const ConstantMemory& memory : network.memories) {
    alone += block_memory_cost(BlockUse::constants, memory.width, memory.depth).bram18;
  }
  for (const int64_t ratio : {1, 2, 3, 4}) {
    const std::clock_t begin = std::clock();
    const MemoryPacking packing =
        pack_memories(network.memories, block_modes("ultrascale_plus"), ratio);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    fmt::print(
        "{:32} ratio {}: {:5.0f} blocks alone, {:5} packed, bound {:5}, {:5.1f} % used, {:5.2f} "
        "s\n",
        network.name, ratio, alone, packing.blocks, packing.bound, 100 * packing.efficiency(),
        seconds);
  }
}

}  // namespace
}  // namespace foldstream

int main() {
  foldstream::show(foldstream::resnet50());
  foldstream::show(foldstream::cnv());
  return 0;
}
