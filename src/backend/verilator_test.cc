// SPDX-License-Identifier: Apache-2.0
// Stitches and simulates small designs made of the library's own cells.
#include "src/backend/verilator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "src/backend/verilator_fixture.h"
#include "src/ir/op.h"
#include "src/rtl/block.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// A FIFO as an operator: gives what it takes. `lanes` lanes a beat.
std::vector<Type> infer(const Node& node) { return {node.in_type(0)}; }

Ports ports(const Node& node) {
  const Type& type = node.in_type(0);
  const int64_t lanes = node.integer("lanes");
  const Stream stream{lanes, type.bits, type.count() / lanes};
  return {{stream}, {stream}};
}

Hardware emit(const Node& node, Family, const std::string&) {
  return {.top = "fst_fifo",
          .parameters = {{"Width", ports(node).in[0].width()}, {"Depth", 3}},
          .modules = {},
          .memories = {},
          .cells = {},
          .outside = {}};
}

const Op relay{.name = "relay",
               .doc = "",
               .kind = Op::Kind::hardware,
               .infer = infer,
               .ports = ports,
               .emit = emit};

Graph relays(int bits, int64_t first_lanes, int64_t second_lanes) {
  Graph graph;
  graph.name = "two relays";
  Node& input = graph.add(require_op("input"), {}, "x",
                          {{"type", "s" + std::to_string(bits)}, {"shape", Shape{1, 24}}});
  Node& first = graph.add(relay, {{&input, 0}}, "a/b", {{"lanes", first_lanes}});
  Node& second = graph.add(relay, {{&first, 0}}, "a.b", {{"lanes", second_lanes}});
  graph.outputs.push_back({"y", {&second, 0}});
  return graph;
}

// Inverts the bits of each beat that its memory has set for the beat's place in the frame.
Hardware emit_masked(const Node& node, Family, const std::string& instance) {
  const Tensor& mask = *node.tensor("mask");
  const int bits = node.out[0].bits;
  std::vector<RomWord> words;
  for (const int64_t value : mask.ints) {
    RomWord& word = words.emplace_back();
    for (int b = 0; b < bits; ++b) word.push_back((value >> b & 1) != 0);
  }
  SvModule module(instance, "Inverts bits.", "Latency 2, queue of 3.");
  Hardware hardware;
  add_block_ports(module, bits, bits);
  add_beat_issue(module);
  add_fold_counter(module, "place_q", mask.count(), "issue");
  add_node_memory(module, node, instance, {"mask", bits, mask.count()}, words, "place_q", hardware);
  const std::string data = delayed_data(module, "s_data_i", bits, 1) + " ^ mask";
  add_output_queue(module, {.frame = {}, .depth = 2, .queue = 3}, bits, "issue",
                   delayed_control(module, "issue", 1), data);
  add_top(module, hardware);
  return hardware;
}

const Op masked{.name = "masked",
                .doc = "",
                .kind = Op::Kind::hardware,
                .infer = infer,
                .ports = ports,
                .emit = emit_masked};

// Two of them in a row, whose memories' names would be the same word. The second mask is less than
// a table; block memory holds the first.
Graph masks(const std::string& place, Tensor first_mask, Tensor second_mask) {
  Graph graph;
  graph.name = "masks";
  Node& input =
      graph.add(require_op("input"), {}, "x", {{"type", "s13"}, {"shape", first_mask.type.shape}});
  Node& first = graph.add(masked, {{&input, 0}}, "a", {{"lanes", 1}, {"memory", place}},
                          {{"mask", std::move(first_mask)}});
  Node& second = graph.add(masked, {{&first, 0}}, "a_mask", {{"lanes", 1}, {"memory", place}},
                           {{"mask", std::move(second_mask)}});
  graph.outputs.push_back({"y", {&second, 0}});
  return graph;
}

TEST(Stitch, NamesModulesAndListsCells) {
  const Design design = stitch(relays(4, 2, 2), Family::generic);
  EXPECT_EQ(design.name, "two_relays");
  const std::vector<std::string> sources = design.sources(Family::xilinx);
  EXPECT_EQ(sources.back(), "two_relays_axis.sv");
  // What the FIFO is made of comes with it.
  for (const char* cell : {"lib/fst_fifo.sv", "lib/fst_ring.sv"}) {
    EXPECT_EQ(std::count(sources.begin(), sources.end(), cell), 1) << cell;
  }
  EXPECT_EQ(design.edges.size(), 1u);
  EXPECT_EQ(design.edges[0].from, "a/b");
  EXPECT_EQ(design.nodes[1].instance, "u_a_b_2");
  EXPECT_EQ(design.files.at("two_relays.sv"),
            stitch(relays(4, 2, 2), Family::generic).files.at("two_relays.sv"));
}

TEST(Stitch, RefusesStreamsThatDiffer) {
  try {
    stitch(relays(4, 2, 3), Family::generic);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "node 'a/b' (relay) gives 2 lanes of 4 bits, 12 beats a frame, but node 'a.b' "
                 "(relay) takes 3 lanes of 4 bits, 8 beats a frame");
  }
}

TEST(Stitch, RefusesAStreamWithTwoTakers) {
  Graph graph = relays(4, 2, 2);
  graph.outputs.push_back({"z", graph.outputs[0].value});
  EXPECT_THROW(stitch(graph, Family::generic), Error);
}

TEST(Stitch, MakesModuleNamesOfAnything) {
  EXPECT_EQ(module_name("/fc1/MatMul"), "fc1_MatMul");
  EXPECT_EQ(module_name("module"), "network_module");
  EXPECT_EQ(module_name("1a"), "network_1a");
  EXPECT_EQ(module_name("..."), "network");
}

std::vector<std::vector<Tensor>> random_frames(int count, int bits) {
  std::mt19937_64 random(7);
  std::vector<std::vector<Tensor>> frames;
  for (int i = 0; i < count; ++i) {
    Tensor tensor = make_zero(integer_type(bits, true, {1, 24}));
    for (int64_t& value : tensor.ints) value = static_cast<int64_t>(random()) >> (64 - bits);
    frames.push_back({std::move(tensor)});
  }
  return frames;
}

TEST_F(VerilatorTest, CarriesEveryWidthThroughAndCountsCycles) {
  for (const auto& [bits, lanes] : {std::pair{1, 1}, {13, 3}, {40, 24}}) {
    const Simulation simulation(stitch(relays(bits, lanes, lanes), Family::generic),
                                {.assertions = true});
    const auto frames = random_frames(3, bits);
    const Simulation::Result result = simulation.run(frames, {.watch_edges = true});
    for (int frame = 0; frame < 3; ++frame) {
      EXPECT_EQ(simulation.outputs(result, frame), frames[frame]) << bits << " x " << lanes;
      EXPECT_EQ(simulation.edge(result, 0, frame), frames[frame][0]) << bits << " x " << lanes;
    }
    const int64_t beats = 24 / lanes;
    const Timing found = timing(simulation.design(), result, 3);
    EXPECT_EQ(found.latency, beats + 1);
    EXPECT_EQ(found.interval, beats);
    EXPECT_EQ(result.edges[0].cycles.front(), 1);
  }
}

TEST_F(VerilatorTest, RandomStallsChangeCyclesButNoBit) {
  const Simulation simulation(stitch(relays(5, 2, 2), Family::generic), {.assertions = true});
  EXPECT_TRUE(Simulation(simulation.design(), {.assertions = true}).was_cached());
  const auto frames = random_frames(20, 5);
  const int64_t free = simulation.run(frames).cycles;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Simulation::Result result =
        simulation.run(frames, {.seed = seed, .input_stall = 0.4, .output_stall = 0.5});
    EXPECT_GT(result.cycles, free);
    for (int frame = 0; frame < 20; ++frame) {
      EXPECT_EQ(simulation.outputs(result, frame), frames[frame]);
    }
  }
}

TEST_F(VerilatorTest, MemoriesOutsideChangeNoBitAndNoCycle) {
  std::mt19937_64 random(5);
  const auto random_tensor = [&](int64_t count) {
    Tensor tensor = make_zero(integer_type(13, true, {count}));
    for (int64_t& value : tensor.ints) value = static_cast<int64_t>(random()) >> 51;
    return tensor;
  };
  constexpr int64_t kPlaces = 600;
  const Tensor first = random_tensor(kPlaces), second = random_tensor(kPlaces / 20);
  std::vector<std::vector<Tensor>> frames;
  for (int frame = 0; frame < 3; ++frame) frames.push_back({random_tensor(kPlaces)});
  std::vector<Simulation::Result> results;
  for (const char* place : {"inside", "outside"}) {
    const Simulation simulation(stitch(masks(place, first, second), Family::generic),
                                {.assertions = true});
    const bool outside = std::string_view(place) == "outside";
    const std::vector<DesignNode>& nodes = simulation.design().nodes;
    EXPECT_EQ(nodes[0].memories.size(), outside ? 1u : 0u);
    if (outside) {
      EXPECT_EQ(nodes[0].memories[0].shape, (MemoryShape{"mask", 13, kPlaces}));
      EXPECT_NE(nodes[0].memories[0].module, nodes[1].module);
    }
    results.push_back(simulation.run(frames, {.input_stall = 0.3, .output_stall = 0.3}));
    for (int frame = 0; frame < 3; ++frame) {
      Tensor expected = frames[frame][0];
      for (int64_t i = 0; i < kPlaces; ++i) {
        expected.ints[i] ^= first.ints[i] ^ second.ints[i % second.count()];
      }
      EXPECT_EQ(simulation.outputs(results.back(), frame)[0], expected) << place;
    }
  }
  EXPECT_EQ(results[0].outputs[0].cycles, results[1].outputs[0].cycles);
}

}  // namespace
}  // namespace foldstream
