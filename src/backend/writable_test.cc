// SPDX-License-Identifier: Apache-2.0
// Constants written while a design runs, over the plain bus and over AXI4-Lite; and the top behind
// AXI as a whole against the plain one.
#include "src/flow/writable.h"

#include <gtest/gtest.h>

#include <random>

#include "src/backend/verilator.h"
#include "src/backend/verilator_fixture.h"
#include "src/fold/queues.h"
#include "src/ir/op.h"
#include "src/passes/insert_stream_nodes.h"
#include "src/report/driver.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr int kFrames = 5;

class Constants {
 public:
  explicit Constants(unsigned seed) : random_(seed) {}

  std::vector<int64_t> values(const Type& type) {
    std::vector<int64_t> values(static_cast<size_t>(type.count()));
    for (int64_t& value : values) {
      value = type.min() + static_cast<int64_t>(random_() % (type.max() - type.min() + 1));
    }
    return values;
  }
  Tensor tensor(int bits, bool is_signed, Shape shape) {
    const Type type = integer_type(bits, is_signed, std::move(shape));
    return make_ints(type, values(type));
  }
  // Ascending in each row, and reached by some sums of so many bits.
  Tensor thresholds(int bits, const Shape& shape) {
    Tensor t = tensor(bits, true, shape);
    for (size_t row = 0; row < t.ints.size(); row += shape[1]) {
      std::sort(t.ints.begin() + row, t.ints.begin() + row + shape[1]);
    }
    return t;
  }

 private:
  std::mt19937_64 random_;
};

// A convolution by channels, one of all channels as windows and a matrix, and scores. Memories of
// few words and of many, of one column and of several; a layer without thresholds; flips.
Parts network(unsigned seed) {
  Constants constants(seed);
  Parts parts;
  Graph& graph = parts.core;
  graph.name = "net";
  Node& x = graph.add(require_op("input"), {}, "x", {{"type", "u2"}, {"shape", Shape{1, 5, 5, 4}}});
  Node& depthwise =
      graph.add(require_op("vvau"), {{&x, 0}}, "depthwise", {{"kernel", Shape{3, 3}}, {"pe", 2}},
                {{"w", constants.tensor(3, true, {4, 9})}, {"t", constants.thresholds(6, {4, 3})}});
  Node& window = graph.add(require_op("sliding_window"), {{&depthwise, 0}}, "window",
                           {{"kernel", Shape{2, 2}}, {"simd", 4}});
  Node& conv = graph.add(require_op("mvau"), {{&window, 0}}, "conv", {{"pe", 1}, {"simd", 4}},
                         {{"w", constants.tensor(2, true, {20, 16})},
                          {"t", constants.thresholds(5, {20, 7})},
                          {"flip", constants.tensor(1, false, {20})}});
  Node& scores = graph.add(require_op("mvau"), {{&conv, 0}}, "scores", {{"pe", 10}, {"simd", 10}},
                           {{"w", constants.tensor(4, true, {10, 20})}});
  graph.outputs.push_back({"y", {&scores, 0}});
  parts.tail.add(require_op("input"), {}, "y",
                 {{"type", element_name(scores.out[0])}, {"shape", scores.out[0].shape}});
  parts.tail.outputs.push_back({"y", {&parts.tail.nodes.front(), 0}});
  return parts;
}

std::vector<std::vector<Tensor>> random_frames(const Graph& core) {
  Constants constants(99);
  std::vector<std::vector<Tensor>> frames;
  const Type& type = core.nodes.front().out[0];
  for (int i = 0; i < kFrames; ++i) frames.push_back({make_ints(type, constants.values(type))});
  return frames;
}

class WritableTest : public VerilatorTest {
 protected:
  void SetUp() override {
    VerilatorTest::SetUp();
    if (IsSkipped()) return;
    make_writable(parts_, {"all"}, Family::generic);
    insert_stream_nodes(parts_.core);
    set_queues(parts_.core, Family::generic);
    design_ = stitch(parts_.core, Family::generic);
    frames_ = random_frames(parts_.core);
  }

  // All constants become those of another network.
  std::vector<BusWord> write_others() {
    const Parts others = network(2);
    std::vector<BusWord> image;
    for (const Node& other : others.core.nodes) {
      for (const auto& [key, tensor] : other.data) {
        write_constant(parts_.core, other.name + "." + key, tensor.type.shape, tensor.ints,
                       Family::generic);
      }
    }
    for (const DesignNode& entry : design_.nodes) {
      for (const Node& node : parts_.core.nodes) {
        if (node.name != entry.name) continue;
        const std::vector<BusWord> words = bus_image(node, entry);
        image.insert(image.end(), words.begin(), words.end());
      }
    }
    return image;
  }

  std::vector<std::vector<Tensor>> expected() const {
    const Evaluator core(parts_.core);
    std::vector<std::vector<Tensor>> results;
    for (const auto& frame : frames_) results.push_back(core.run(frame));
    return results;
  }

  void expect(const Simulation& simulation, const Simulation::Result& result,
              const std::vector<std::vector<Tensor>>& wanted) const {
    for (int frame = 0; frame < kFrames; ++frame) {
      EXPECT_EQ(simulation.outputs(result, frame), wanted[frame]) << "frame " << frame;
    }
  }

  Parts parts_ = network(1);
  Design design_;
  std::vector<std::vector<Tensor>> frames_;
};

TEST_F(WritableTest, ComputesWithWhatWasWrittenInTheSameCycles) {
  const Simulation simulation(design_, {.assertions = true});
  const std::vector<std::vector<Tensor>> first = expected();
  const Simulation::Result before = simulation.run(frames_);
  expect(simulation, before, first);
  const std::vector<BusWord> image = write_others();
  const std::vector<std::vector<Tensor>> second = expected();
  for (int frame = 0; frame < kFrames; ++frame) EXPECT_NE(first[frame], second[frame]);
  const Simulation::Result after = simulation.run(frames_, {.writes = image});
  expect(simulation, after, second);
  EXPECT_EQ(after.outputs[0].cycles, before.outputs[0].cycles);
  // A word that reads otherwise is noticed: nothing is behind the last address.
  std::vector<BusWord> beyond = image;
  beyond.push_back({(int64_t{1} << design_.bus_address_bits) - 1, 1});
  EXPECT_THROW(simulation.run(frames_, {.writes = beyond}), Error);
}

TEST_F(WritableTest, TheTopBehindAxiEqualsThePlainOne) {
  const Simulation plain(design_, {}), axi(design_, {.axi = true, .assertions = true});
  const std::vector<BusWord> image = write_others();
  for (const double stall : {0.0, 0.4}) {
    const Simulation::Options options{
        .seed = 4, .input_stall = stall, .output_stall = stall, .writes = image};
    const Simulation::Result inside = plain.run(frames_, options);
    const Simulation::Result outside = axi.run(frames_, options);
    EXPECT_EQ(outside.outputs[0].words, inside.outputs[0].words);
    EXPECT_EQ(outside.outputs[0].cycles, inside.outputs[0].cycles);
    EXPECT_EQ(outside.inputs[0].cycles, inside.inputs[0].cycles);
    expect(axi, outside, expected());
  }
}

TEST_F(WritableTest, RefusesWhatTheMemoriesDontHold) {
  const auto refused = [&](const std::string& name, const Shape& shape, int64_t value,
                           const std::string& text) {
    try {
      write_constant(parts_.core, name, shape,
                     std::vector<int64_t>(static_cast<size_t>(element_count(shape)), value),
                     Family::generic);
      ADD_FAILURE() << name << " is not refused";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  refused("scores.w", {10, 20}, 8, "element 0 of scores.w is 8, outside s4 (-8 to 7)");
  refused("scores.w", {10, 21}, 1, "scores.w has shape [10,21]");
  refused("scores.t", {10, 3}, 1, "has no writable constant 't'");
  refused("score.w", {10, 20}, 1, "no node is called 'score'");
  refused("window.w", {10, 20}, 1, "is not writable");
  refused("scores", {10, 20}, 1, "names no constant");
}

TEST(Writable, ChoosesNodes) {
  const auto refused = [](const std::string& choice, const std::string& text) {
    Parts parts = network(1);
    try {
      make_writable(parts, {choice}, Family::generic);
      ADD_FAILURE() << choice << " is not refused";
    } catch (const Error& error) {
      EXPECT_NE((error.what() + error.help()).find(text), std::string::npos) << error.what();
    }
  };
  refused("window", "has no weightsnodes that have: depthwise, conv, scores");
  refused("con", "no node is called 'con'");
  refused("conv:s1", "outside s1");
  refused("conv:f32", "is no integer type");
  Parts parts = network(1);
  const Type before = parts.tail.nodes.front().out[0];
  make_writable(parts, {"MVAU_rtl_1:s6"}, Family::generic);
  EXPECT_EQ(parts.core.nodes.back().tensor("w")->type.bits, 6);
  EXPECT_GT(parts.tail.nodes.front().out[0].bits, before.bits);
  EXPECT_FALSE(parts.core.nodes[1].attr.contains("memory"));
}

}  // namespace
}  // namespace foldstream
