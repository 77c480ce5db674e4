// SPDX-License-Identifier: Apache-2.0
// The cycle model against Verilator on whole designs: every beat of every stream in its cycle.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "src/backend/verilator.h"
#include "src/backend/verilator_fixture.h"
#include "src/fold/fold.h"
#include "src/fold/folding_file.h"
#include "src/fold/queues.h"
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/passes/group_pixels.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Value dense(Graph& graph, Value in, const std::string& name, int64_t rows, bool thresholds) {
  const int64_t columns = in.type().shape.back();
  std::mt19937 random(static_cast<unsigned>(rows * 31 + columns));
  std::vector<int64_t> weights(static_cast<size_t>(rows * columns));
  for (int64_t& weight : weights) weight = random() % 2 != 0 ? 1 : -1;
  std::map<std::string, Tensor, std::less<>> data{
      {"w", make_ints(Shape{rows, columns}, std::move(weights))}};
  if (thresholds)
    data["t"] = make_ints(Shape{rows, 1}, std::vector<int64_t>(static_cast<size_t>(rows), 1));
  Node& node = graph.add(require_op("mvau"), {in}, name, {}, std::move(data));
  return {&node, 0};
}

// Four dense layers and the best class; the second layer's result leaves the network, too.
Graph network() {
  Graph graph;
  graph.name = "net";
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", "u1"}, {"shape", Shape{1, 36}}});
  const Value first = dense(graph, {&x, 0}, "fc0", 24, true);
  const Value second = dense(graph, first, "fc1", 20, true);
  const Value third = dense(graph, second, "fc2", 16, true);
  const Value scores = dense(graph, third, "fc3", 10, false);
  Node& label = graph.add(require_op("label_select"), {scores}, "label");
  graph.outputs.push_back({"class", {&label, 0}});
  graph.outputs.push_back({"features", second});
  return graph;
}

// A residual block: three by three pixels on the long way, none on the short one. The last row is
// left out of the result, so that beats move on after the last one came out.
Graph residual_network() {
  Graph graph;
  graph.name = "residual";
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", "u1"}, {"shape", Shape{1, 3, 4, 3}}});
  const Value stem = dense(graph, {&x, 0}, "stem", 6, true);
  Node& window = graph.add(require_op("sliding_window"), {stem}, "window",
                           {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}});
  const Value way = dense(graph, {&window, 0}, "conv", 6, true);
  Node& join = graph.add(require_op("eltwise"), {way, stem}, "join", {{"function", "add"}});
  Node& crop = graph.add(require_op("crop"), {{&join, 0}}, "crop",
                         {{"begin", Shape{0, 0, 0, 0}}, {"end", Shape{1, 2, 4, 6}}});
  graph.outputs.push_back({"y", {&crop, 0}});
  return graph;
}

std::vector<std::vector<Tensor>> random_frames(const Graph& graph, int count) {
  std::mt19937 random(3);
  std::vector<std::vector<Tensor>> frames;
  for (int i = 0; i < count; ++i) {
    Tensor tensor = make_zero(graph.nodes.front().out[0]);
    for (int64_t& value : tensor.ints) value = random() % 2;
    frames.push_back({std::move(tensor)});
  }
  return frames;
}

// Both engines under the same stalls: what passed the edges of the design in a cycle was offered
// and accepted in that cycle.
void compare(const Graph& graph, const Simulation& simulation, Simulation::Options stalls) {
  stalls.watch_edges = true;
  constexpr int kFrames = 6;
  const StreamGraph streams = stream_graph(graph, Family::generic);
  const Simulation::Result measured = simulation.run(random_frames(graph, kFrames), stalls);
  const auto cycles_of = [](const std::vector<Simulation::Trace>& traces) {
    std::vector<std::set<int64_t>> cycles;
    for (const Simulation::Trace& trace : traces)
      cycles.emplace_back(trace.cycles.begin(), trace.cycles.end());
    return cycles;
  };
  const auto in = cycles_of(measured.inputs), out = cycles_of(measured.outputs);
  const bool free = stalls.input_stall == 0 && stalls.output_stall == 0;
  SimOptions options;
  options.frames = kFrames;
  options.record = true;
  if (!free) {
    options.offer = [&](size_t source, int64_t cycle) { return in[source].contains(cycle); };
    options.accept = [&](size_t sink, int64_t cycle) { return out[sink].contains(cycle); };
  }
  const SimResult model = simulate(streams, options);
  for (size_t i = 0; i < streams.sinks.size(); ++i) {
    EXPECT_EQ(model.taken[streams.blocks[streams.sinks[i]].in[0]], measured.outputs[i].cycles);
  }
  EXPECT_EQ(model.taken[streams.blocks[streams.sources[0]].out[0]], measured.inputs[0].cycles);
  size_t compared = 0;
  for (size_t e = 0; e < simulation.design().edges.size(); ++e) {
    const DesignEdge& edge = simulation.design().edges[e];
    for (size_t link = 0; link < streams.links.size(); ++link) {
      if (streams.producer(link) != edge.from || streams.consumer(link) != edge.to ||
          streams.is_ring(link)) {
        continue;
      }
      EXPECT_EQ(model.taken[link], measured.edges[e].cycles) << edge.from << " to " << edge.to;
      ++compared;
    }
  }
  EXPECT_EQ(compared, simulation.design().edges.size());
  if (free) {
    const Timing found = timing(simulation.design(), measured, kFrames);
    EXPECT_EQ(model.cycles, found.cycles);
    EXPECT_EQ(model.latency_cycles, found.latency);
    EXPECT_EQ(model.interval_cycles, found.interval);
  }
}

// A small convolutional network: windows with and without padding, a pool, scores of the frame.
Graph convolutional_network() {
  Graph graph;
  graph.name = "convolutional";
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", "u1"}, {"shape", Shape{1, 8, 8, 2}}});
  Node& padded = graph.add(require_op("sliding_window"), {{&x, 0}}, "window0",
                           {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}});
  const Value first = dense(graph, {&padded, 0}, "conv0", 4, true);
  Node& pool = graph.add(require_op("pool"), {first}, "pool",
                         {{"kernel", Shape{2, 2}}, {"stride", Shape{2, 2}}});
  Node& window =
      graph.add(require_op("sliding_window"), {{&pool, 0}}, "window1", {{"kernel", Shape{3, 3}}});
  const Value second = dense(graph, {&window, 0}, "conv1", 6, true);
  const Value third = dense(graph, second, "pixels", 3, true);
  Node& flat = graph.add(require_op("reshape"), {third}, "flat", {{"shape", Shape{1, 12}}});
  graph.outputs.push_back({"scores", dense(graph, {&flat, 0}, "scores", 5, false)});
  return graph;
}

using RtlTime = VerilatorTest;

// Four pixels a clock in its first layer, and what of the others needs several.
TEST_F(RtlTime, EveryBeatAndResultOfSeveralPixelsAtOnce) {
  constexpr int64_t kCycles = 24;
  const Graph plain = convolutional_network();
  Graph graph = plain.clone();
  EXPECT_THROW(fold_for_cycles(graph, kCycles, find_part("LFE5U-85F")), Error);
  ASSERT_TRUE(group_pixels(graph, kCycles, Family::generic));
  fold_for_cycles(graph, kCycles, find_part("LFE5U-85F"));
  insert_stream_nodes(graph);
  EXPECT_EQ(set_queues(graph, Family::generic).interval_cycles, kCycles);
  const Simulation simulation(stitch(graph, Family::generic));
  compare(graph, simulation, {});
  compare(graph, simulation, {.seed = 3, .input_stall = 0.3, .output_stall = 0.3});
  const auto frames = random_frames(plain, 6);
  const Simulation::Result result = simulation.run(frames);
  for (size_t frame = 0; frame < frames.size(); ++frame) {
    EXPECT_EQ(simulation.outputs(result, static_cast<int64_t>(frame)),
              Evaluator(plain).run(frames[frame]));
  }
}

TEST_F(RtlTime, EveryBeatOfWholeNetworks) {
  const auto check = [](Graph graph, int64_t cycles) {
    SCOPED_TRACE(graph.name + " " + std::to_string(cycles));
    fold_for_cycles(graph, cycles, find_part("LFE5U-85F"));
    insert_stream_nodes(graph);
    const QueueResult queues = set_queues(graph, Family::generic);
    EXPECT_LE(queues.interval_cycles, cycles);
    const Simulation simulation(stitch(graph, Family::generic));
    compare(graph, simulation, {});
    compare(graph, simulation, {.seed = 1, .input_stall = 0.5, .output_stall = 0});
    compare(graph, simulation, {.seed = 2, .input_stall = 0, .output_stall = 0.6});
    compare(graph, simulation, {.seed = 3, .input_stall = 0.3, .output_stall = 0.3});
  };
  for (int64_t cycles : {1000, 90, 24, 1}) check(network(), cycles);
  for (int64_t cycles : {4000, 700, 110}) check(residual_network(), cycles);
}

}  // namespace
}  // namespace foldstream
