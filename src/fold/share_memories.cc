// SPDX-License-Identifier: Apache-2.0
#include "src/fold/share_memories.h"

#include <fmt/format.h>

#include "src/ir/op.h"
#include "src/rtl/rom.h"

namespace foldstream {
namespace {

// Columns that would leave most of a port idle are look-up tables where those cost less than a
// port.
int64_t table_columns(const MemoryShape& shape, const BlockMode& widest, int64_t ratio) {
  const int64_t rest = shape.width % widest.width;
  if (rest == 0 || rest == shape.width) return 0;
  const RomPlan plan = plan_rom(rest, shape.depth);
  const bool is_cheap =
      plan.block_bits == 0 && plan.cost.lut * static_cast<double>(2 * ratio) < kLutsOfBlock;
  return is_cheap ? rest : 0;
}

}  // namespace

std::string SharedMemories::text() const {
  if (packing.banks.empty()) return "no memories of weights share blocks: that would save none";
  return fmt::format(
      "{} memories of weights share {} blocks of 18 Kbit ({:.0f} alone, at least {}), {:.1f} % of "
      "their bits used{}",
      memories, packing.blocks, blocks_alone, packing.bound, 100 * packing.efficiency(),
      ratio > 1 ? fmt::format(", read by a clock {} times as fast", ratio) : "");
}

SharedMemories share_memories(Graph& core, const Part& part, int64_t ratio) {
  const std::span<const BlockMode> modes = block_modes(part.architecture);
  SharedMemories result;
  result.ratio = ratio;
  std::vector<Node*> nodes;
  std::vector<int64_t> tables;
  std::vector<ConstantMemory> memories;
  for (Node& node : core.nodes) {
    if (node.op->memories == nullptr || memory_place(node) != MemoryPlace::inside) continue;
    const std::vector<MemoryShape> shapes = node.op->memories(node, part.family);
    if (shapes.size() != 1) continue;
    const RomPlan plan = plan_rom(shapes[0].width, shapes[0].depth);
    if (plan.block_bits == 0) continue;
    nodes.push_back(&node);
    tables.push_back(table_columns(shapes[0], modes[0], ratio));
    memories.push_back({shapes[0].width - tables.back(), shapes[0].depth});
    result.blocks_alone += plan.cost.bram18;
  }
  result.packing = pack_memories(memories, modes, ratio);
  if (static_cast<double>(result.packing.blocks) >= result.blocks_alone) {
    result.packing.banks.clear();
    return result;
  }
  result.memories = static_cast<int64_t>(nodes.size());
  std::vector<std::vector<SharedPart>> parts(nodes.size());
  for (size_t bank = 0; bank < result.packing.banks.size(); ++bank) {
    const MemoryBank& of = result.packing.banks[bank];
    for (size_t place = 0; place < of.parts.size(); ++place) {
      MemoryPart held = of.parts[place];
      const auto memory = static_cast<size_t>(held.memory);
      held.memory = 0, held.first_bit += tables[memory];
      parts[memory].push_back(
          {static_cast<int64_t>(bank), static_cast<int64_t>(place), of.blocks, of.mode, held});
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    nodes[i]->attr["memory"] = std::string("outside");
    if (ratio > 1) {
      nodes[i]->attr["memory_latency"] = int64_t{2};
      nodes[i]->attr["memory_clock_ratio"] = ratio;
    }
    set_shared_parts(*nodes[i], parts[i]);
  }
  return result;
}

}  // namespace foldstream
