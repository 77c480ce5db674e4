// SPDX-License-Identifier: Apache-2.0
// Nodes whose memories share block memories: the same bits in the same cycles as with memories of
// their own, and as many blocks after synthesis as planned.
#include <gtest/gtest.h>

#include <random>

#include "src/backend/verilator.h"
#include "src/backend/verilator_fixture.h"
#include "src/backend/yosys.h"
#include "src/fold/share_memories.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"
#include "src/util/files.h"

namespace foldstream {
namespace {

// Inverts the bits of each beat that its memory has set for the beat's place in the frame. The
// frame is [beats, lanes].
std::vector<Type> infer(const Node& node) { return {node.in_type(0)}; }

Ports ports(const Node& node) {
  const Type& type = node.in_type(0);
  const Stream stream{type.shape[1], type.bits, type.shape[0]};
  return {{stream}, {stream}};
}

std::vector<MemoryShape> memories(const Node& node, Family) {
  return {{"mask", ports(node).in[0].width(), node.in_type(0).shape[0]}};
}

Rhythm rhythm(const Node& node, Family) {
  Rhythm rhythm;
  rhythm.frame = {{1, {{node.in_type(0).shape[0], 1, 1, 0, 0}}}};
  rhythm.depth = memory_latency(node) + 1, rhythm.queue = rhythm.depth + 1;
  return rhythm;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Tensor& mask = *node.tensor("mask");
  const Stream stream = ports(node).in[0];
  std::vector<RomWord> words(stream.beats);
  for (int64_t i = 0; i < mask.count(); ++i) {
    for (int b = 0; b < stream.bits; ++b) {
      words[i / stream.lanes].push_back((mask.ints[i] >> b & 1) != 0);
    }
  }
  const int64_t latency = memory_latency(node);
  SvModule module(instance, "Inverts bits.", "By the memory's latency one more, and one of queue.");
  Hardware hardware;
  add_block_ports(module, stream.width(), stream.width());
  add_beat_issue(module);
  add_fold_counter(module, "place_q", stream.beats, "issue");
  add_node_memory(module, node, instance, memories(node, family)[0], words, "place_q", hardware);
  const std::string data = delayed_data(module, "s_data_i", stream.width(), latency) + " ^ mask";
  add_output_queue(module, rhythm(node, family), stream.width(), "issue",
                   delayed_control(module, "issue", latency), data);
  add_top(module, hardware);
  return hardware;
}

const Op masked{.name = "masked",
                .doc = "",
                .kind = Op::Kind::hardware,
                .infer = infer,
                .ports = ports,
                .rhythm = rhythm,
                .emit = emit,
                .memories = memories};

constexpr int kBits = 6;
constexpr const char* kPart = "xc7z020";

Tensor random_frame(int64_t beats, int64_t lanes, std::mt19937_64& random) {
  Tensor tensor = make_zero(integer_type(kBits, false, {beats, lanes}));
  for (int64_t& value : tensor.ints) value = static_cast<int64_t>(random() >> (64 - kBits));
  return tensor;
}

// Streams side by side, each through a memory of its own shape. The third is cut to share, the last
// is a table.
struct Size {
  int64_t beats, lanes;
};
constexpr Size kSizes[] = {{300, 8}, {420, 5}, {1200, 3}, {100, 3}};

Graph side_by_side() {
  std::mt19937_64 random(3);
  Graph graph;
  graph.name = "masks";
  for (const Size& shape : kSizes) {
    const std::string name = std::to_string(graph.outputs.size());
    Node& input = graph.add(require_op("input"), {}, "x" + name,
                            {{"type", "u" + std::to_string(kBits)},
                             {"shape", std::vector<int64_t>{shape.beats, shape.lanes}}});
    Node& node = graph.add(masked, {{&input, 0}}, "mask" + name, {},
                           {{"mask", random_frame(shape.beats, shape.lanes, random)}});
    graph.outputs.push_back({"y" + name, {&node, 0}});
  }
  return graph;
}

using SharedMemoryTest = VerilatorTest;

TEST_F(SharedMemoryTest, EqualBitsAndEqualRateAtEveryRatio) {
  std::mt19937_64 random(5);
  std::vector<std::vector<Tensor>> frames(2);
  for (auto& frame : frames) {
    for (const Size& shape : kSizes) {
      frame.push_back(random_frame(shape.beats, shape.lanes, random));
    }
  }
  for (const int64_t ratio : {0, 1, 2, 3}) {
    Graph graph = side_by_side();
    if (ratio > 0) {
      const SharedMemories shared = share_memories(graph, find_part(kPart), ratio);
      EXPECT_EQ(shared.memories, 3);
      EXPECT_LT(static_cast<double>(shared.packing.blocks), shared.blocks_alone);
    }
    const Simulation simulation(stitch(graph, Family::generic), {.assertions = true});
    EXPECT_EQ(simulation.design().banks.empty(), ratio == 0);
    EXPECT_EQ(simulation.design().memory_clock_ratio, std::max<int64_t>(ratio, 1));
    const Simulation::Result full = simulation.run(frames);
    const Simulation::Result stalled =
        simulation.run(frames, {.input_stall = 0.3, .output_stall = 0.3});
    for (size_t frame = 0; frame < frames.size(); ++frame) {
      for (size_t node = 0; node < std::size(kSizes); ++node) {
        Tensor expected = frames[frame][node];
        const Tensor& mask = *graph.outputs[node].value.node->tensor("mask");
        for (int64_t i = 0; i < mask.count(); ++i) expected.ints[i] ^= mask.ints[i];
        for (const Simulation::Result* result : {&full, &stalled}) {
          EXPECT_EQ(simulation.outputs(*result, static_cast<int64_t>(frame))[node], expected)
              << "ratio " << ratio << ", node " << node;
        }
      }
    }
    for (size_t node = 0; node < std::size(kSizes); ++node) {
      // A beat in every cycle from the first on, as late as the rhythm says.
      const std::vector<int64_t>& cycles = full.outputs[node].cycles;
      const int64_t depth = rhythm(*graph.outputs[node].value.node, Family::generic).depth;
      for (size_t beat = 0; beat < cycles.size(); ++beat) {
        ASSERT_EQ(cycles[beat], depth + static_cast<int64_t>(beat)) << "ratio " << ratio;
      }
    }
  }
}

TEST_F(SharedMemoryTest, SynthesisFindsThePlannedBlocks) {
  for (const int64_t ratio : {1, 2}) {
    Graph graph = side_by_side();
    const SharedMemories shared = share_memories(graph, find_part(kPart), ratio);
    const TemporaryFolder folder;
    const SynthesisResult result = synthesize(stitch(graph, Family::xilinx), find_part(kPart),
                                              {.place = false}, folder.path());
    EXPECT_EQ(result.total.bram18, static_cast<double>(shared.packing.blocks));
  }
}

TEST_F(SharedMemoryTest, SharedMemoriesAreInTheTextForm) {
  Graph graph = side_by_side();
  share_memories(graph, find_part(kPart), 2);
  const Design design = stitch(graph, Family::generic);
  for (Node& node : graph.nodes) {
    if (node.op != &masked) continue;
    const std::vector<SharedPart> parts = shared_parts(node);
    EXPECT_EQ(parts.empty(), &node == &graph.nodes.back());
    if (parts.empty()) continue;
    // A word that no part holds, then one that two do.
    for (const int64_t change : {-1, 1}) {
      std::vector<SharedPart> wrong = parts;
      wrong[0].part.words += change;
      set_shared_parts(node, wrong);
      EXPECT_THROW(stitch(graph, Family::generic), Error);
    }
    std::vector<SharedPart> wrong = parts;
    wrong[0].place = wrong[0].place + 8;
    set_shared_parts(node, wrong);
    EXPECT_THROW(stitch(graph, Family::generic), Error);
    node.attr["memory_parts"] = std::vector<int64_t>{1, 2, 3};
    EXPECT_THROW(stitch(graph, Family::generic), Error);
    set_shared_parts(node, parts);
  }
  EXPECT_EQ(stitch(graph, Family::generic).files, design.files);
}

TEST(ShareMemories, RefusesPartsWithoutASecondPortAndRatiosBelowOne) {
  Graph graph = side_by_side();
  EXPECT_THROW(share_memories(graph, find_part("iCE40HX8K"), 1), Error);
  EXPECT_THROW(share_memories(graph, find_part(kPart), 0), Error);
}

}  // namespace
}  // namespace foldstream
