// SPDX-License-Identifier: Apache-2.0
// Weights that no bitstream holds: in UltraRAM that the bus fills before the first frame, writable
// ones too, and streamed from outside; the whole design against its meaning and its time.
#include "src/report/weights.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "src/backend/verilator.h"
#include "src/backend/verilator_fixture.h"
#include "src/flow/writable.h"
#include "src/fold/queues.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/report/driver.h"
#include "src/sim/cycle_model.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kFrames = 4;

Tensor random_tensor(const Type& type, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> values(static_cast<size_t>(type.count()));
  for (int64_t& value : values) {
    value = type.min() + static_cast<int64_t>(random() % (type.max() - type.min() + 1));
  }
  return make_ints(type, std::move(values));
}

// Five layers of six pixels. Loaded: of several columns of the bus, and of one that isn't full.
// Streamed: a word for three pixels, and one for each.
Parts network() {
  Parts parts;
  Graph& graph = parts.core;
  graph.name = "net";
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", "u2"}, {"shape", Shape{1, 6, 12}}});
  Value value{&x, 0};
  const auto layer = [&](const std::string& name, const std::string& place, int64_t rows,
                         int64_t pe, int64_t simd) {
    const int64_t columns = value.type().shape.back();
    const auto seed = static_cast<unsigned>(graph.nodes.size());
    Tensor t = random_tensor(integer_type(6, true, {rows, 3}), 7 * seed);
    for (size_t row = 0; row < t.ints.size(); row += 3) {
      std::sort(t.ints.begin() + row, t.ints.begin() + row + 3);
    }
    Node& node = graph.add(
        require_op("mvau"), {value}, name, {{"pe", pe}, {"simd", simd}, {"memory", place}},
        {{"w", random_tensor(integer_type(3, true, {rows, columns}), seed)}, {"t", t}});
    value = {&node, 0};
  };
  layer("wide", "loaded", 20, 5, 6);
  layer("narrow", "loaded", 16, 2, 2);
  layer("shared", "streamed", 18, 3, 4);
  graph.nodes.back().attr["reuse"] = int64_t{3};
  layer("rows", "streamed", 12, 2, 18);
  layer("writable", "writable", 64, 1, 1);
  graph.nodes.back().attr["ultra"] = int64_t{1};
  graph.outputs.push_back({"y", value});
  parts.tail.add(require_op("input"), {}, "y",
                 {{"type", element_name(value.type())}, {"shape", value.type().shape}});
  parts.tail.outputs.push_back({"y", {&parts.tail.nodes.front(), 0}});
  settle_types(parts);
  return parts;
}

class WeightsTest : public VerilatorTest {
 protected:
  void SetUp() override {
    VerilatorTest::SetUp();
    if (IsSkipped()) return;
    insert_stream_nodes(core_);
    set_queues(core_, Family::generic);
    design_ = stitch(core_, Family::generic);
    for (const DesignNode& entry : design_.nodes) {
      if (entry.name != "writable") continue;
      for (const Node& node : core_.nodes) {
        if (node.name == entry.name) writes_ = bus_image(node, entry);
      }
    }
    const Evaluator evaluator(core_);
    for (unsigned frame = 0; frame < kFrames; ++frame) {
      frames_.push_back({random_tensor(core_.nodes.front().out[0], 100 + frame)});
      expected_.push_back(evaluator.run(frames_.back()));
    }
  }

  bool equal(const Simulation& simulation, const Simulation::Result& result) const {
    for (int frame = 0; frame < kFrames; ++frame) {
      if (simulation.outputs(result, frame) != expected_[frame]) return false;
    }
    return true;
  }

  Parts parts_ = network();
  Graph& core_ = parts_.core;
  Design design_;
  std::vector<BusWord> writes_;  // of what is writable in UltraRAM
  std::vector<std::vector<Tensor>> frames_, expected_;
};

TEST_F(WeightsTest, EveryBeatIsRightAndInItsCycle) {
  const Simulation plain(design_, {.assertions = true}), axi(design_, {.axi = true});
  const StreamGraph streams = stream_graph(core_, Family::generic, WeightStreams::shown);
  ASSERT_EQ(streams.weights, 2u);
  for (const double stall : {0.0, 0.4}) {
    const Simulation::Options options{
        .seed = 5, .input_stall = stall, .output_stall = stall / 2, .writes = writes_};
    const Simulation::Result found = plain.run(frames_, options);
    EXPECT_TRUE(equal(plain, found));
    const Simulation::Result outside = axi.run(frames_, options);
    EXPECT_TRUE(equal(axi, outside));
    EXPECT_EQ(outside.outputs[0].cycles, found.outputs[0].cycles);
    // What passed in a cycle was offered and accepted in it.
    std::vector<std::set<int64_t>> in;
    const auto add = [&](const Simulation::Trace& trace) {
      in.emplace_back(trace.cycles.begin(), trace.cycles.end());
    };
    add(found.inputs[0]);
    for (const Simulation::Trace& trace : found.weights) add(trace);
    const std::set<int64_t> out(found.outputs[0].cycles.begin(), found.outputs[0].cycles.end());
    SimOptions how;
    how.frames = kFrames;
    how.record = true;
    if (stall > 0) {
      how.offer = [&](size_t source, int64_t cycle) { return in[source].contains(cycle); };
      how.accept = [&](size_t, int64_t cycle) { return out.contains(cycle); };
    }
    const SimResult model = simulate(streams, how);
    const auto taken = [&](size_t block) { return model.taken[streams.blocks[block].out[0]]; };
    EXPECT_EQ(model.taken[streams.blocks[streams.sinks[0]].in[0]], found.outputs[0].cycles);
    EXPECT_EQ(taken(streams.sources[0]), found.inputs[0].cycles);
    for (size_t i = 0; i < streams.weights; ++i) {
      // The last word of a frame is taken by the last step; one more may already be held.
      const std::vector<int64_t>& mine = found.weights[i].cycles;
      EXPECT_EQ(taken(streams.sources[1 + i]), mine) << design_.weights[i].name;
    }
    if (stall > 0) continue;
    // Without pauses it makes no difference whether the model has the streams of weights.
    how.record = false;
    const SimResult without = simulate(stream_graph(core_, Family::generic), how);
    EXPECT_EQ(without.frame_out, model.frame_out);
    EXPECT_EQ(without.frame_in, model.frame_in);
  }
}

TEST_F(WeightsTest, AWrongWordIsAWrongResult) {
  const Simulation right(design_);
  ASSERT_TRUE(equal(right, right.run(frames_, {.writes = writes_})));
  Design other = design_;
  for (auto& word : other.weights[0].words) word.flip();
  const Simulation streamed(other);
  EXPECT_FALSE(equal(streamed, streamed.run(frames_, {.writes = writes_})));
  other = design_;
  for (DesignNode& node : other.nodes) {
    if (node.name == "narrow") node.memories[0].first_words[0].flip();
  }
  const Simulation loaded(other);
  EXPECT_FALSE(equal(loaded, loaded.run(frames_, {.writes = writes_})));
  // Without what the bus brings UltraRAM is empty.
  EXPECT_FALSE(equal(right, right.run(frames_)));
}

TEST_F(WeightsTest, TheReportSaysWhatIsWhere) {
  const WeightsReport report = weights_report(core_, Family::generic, 1000, 100, 40e9);
  std::vector<std::string> names;
  double stream = 0;
  for (const AbsentWeights& weights : report.absent) {
    names.push_back(weights.node->name);
    stream += weights.cost.stream;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"wide", "narrow", "shared", "rows", "writable"}));
  // 3 x 4 and 2 x 18 weights of 3 bits in whole bytes, the first in every third cycle at most.
  EXPECT_DOUBLE_EQ(stream, 40 / 3.0 + 112);
  EXPECT_DOUBLE_EQ(report.peak, stream * 100e6);
  // 24 and 6 words, read twice and for each of six pixels.
  EXPECT_DOUBLE_EQ(report.mean, (2 * 24 * 40 + 6 * 6 * 112) / 1000.0 * 100e6);
  const std::vector<std::string> notes = weights_notes(report);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(notes[0].find("'wide', 'narrow', 'writable'"), std::string::npos) << notes[0];
  EXPECT_NE(notes[1].find("'rows' (0.0 Mbit, read 6 times a frame, 112 bits a cycle)"),
            std::string::npos)
      << notes[1];
}

}  // namespace
}  // namespace foldstream
