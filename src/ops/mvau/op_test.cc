// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include <random>

#include "src/arith/constant_matrix.h"
#include "src/ir/eval.h"
#include "src/rtl/block.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

struct Layer {
  Graph graph;
  Node* node = nullptr;
  Tensor run(std::vector<int64_t> x) const {
    const Tensor in = make_ints(node->in_type(0), std::move(x));
    const Tensor* operand = &in;
    return evaluate_node(*node, {&operand, 1})[0];
  }
};

Layer layer(const std::string& type, Shape shape, std::map<std::string, Tensor, std::less<>> data,
            std::map<std::string, Attr, std::less<>> attr = {}) {
  Layer layer;
  Node& x = layer.graph.add(require_op("input"), {}, "x", {{"type", type}, {"shape", shape}});
  layer.node =
      &layer.graph.add(require_op("mvau"), {{&x, 0}}, "fc", std::move(attr), std::move(data));
  return layer;
}

// The definition, element by element.
int64_t plain_sum(const Tensor& w, const std::vector<int64_t>& x, int64_t vector, int64_t row) {
  const int64_t columns = w.type.shape[1];
  int64_t sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += w.ints[row * columns + c] * x[vector * columns + c];
  return sum;
}

TEST(Mvau, SumsAreThoseOfTheDefinition) {
  std::mt19937_64 random(1);
  // Narrow enough for 16-bit products, and too wide for them.
  for (const auto& [type, w_bits] : {std::pair("u2", 2), {"s4", 8}, {"u16", 8}, {"s24", 12}}) {
    const Shape shape{2, 3, 50};
    Tensor w = make_zero(integer_type(w_bits, true, {7, 50}));
    for (int64_t& v : w.ints) v = static_cast<int64_t>(random() % (1 << w_bits)) + w.type.min();
    const Layer fc = layer(type, shape, {{"w", w}});
    const Type& in = fc.node->in_type(0);
    std::vector<int64_t> x(in.count());
    for (int64_t& v : x) v = static_cast<int64_t>(random() % (in.max() - in.min() + 1)) + in.min();
    const Tensor y = fc.run(x);
    EXPECT_EQ(y.type.shape, (Shape{2, 3, 7}));
    for (int64_t i = 0; i < y.count(); ++i) EXPECT_EQ(y.ints[i], plain_sum(w, x, i / 7, i % 7));
  }
}

TEST(Mvau, ThresholdsCountAndFlip) {
  const Tensor w = make_ints(Shape{2, 3}, {1, -1, 1, 1, 1, 1});
  const Tensor t = make_ints(Shape{2, 3}, {-1, 0, 2, 1, 1, 5});
  const Layer fc = layer("u2", {3}, {{"w", w}, {"t", t}, {"flip", make_ints(Shape{2}, {0, 1})}});
  EXPECT_EQ(to_string(fc.node->out[0]), "u2[2]");
  EXPECT_EQ(fc.run({0, 0, 0}).ints, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(fc.run({1, 0, 1}).ints, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(fc.run({0, 2, 0}).ints, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(fc.run({3, 3, 3}).ints, (std::vector<int64_t>{3, 0}));
}

TEST(Mvau, ResultHoldsWhatTheWeightsAllow) {
  const Tensor w = make_ints(Shape{2, 2}, {1, 1, -1, 1});
  EXPECT_EQ(element_name(layer("u2", {2}, {{"w", w}}).node->out[0]), "s4");  // -3 to 6
  EXPECT_EQ(element_name(
                layer("u2", {2}, {{"w", w}}, {{"range", std::vector<int64_t>{0, 3}}}).node->out[0]),
            "u2");
}

TEST(Mvau, CyclesAreFoldsOfRowsTimesColumns) {
  const Tensor w = make_ints(Shape{12, 20}, std::vector<int64_t>(240, 1));
  Layer fc = layer("u2", {3, 20}, {{"w", w}}, {{"pe", int64_t{4}}, {"simd", int64_t{5}}});
  EXPECT_EQ(fc.node->op->rhythm(*fc.node, Family::xilinx).steps(), 3 * 4 * 3);
  EXPECT_EQ(fc.node->op->ports(*fc.node).in[0], (Stream{5, 2, 12}));
  EXPECT_EQ(fc.node->op->ports(*fc.node).out[0].beats, 9);
}

TEST(Mvau, CountsUnderFinnsKeys) {
  const Tensor w = make_ints(Shape{2, 3}, {1, -1, 1, 1, 1, 1});
  const Tensor t = make_ints(Shape{2, 1}, {0, 1});
  const Layer fc = layer("u2", {3}, {{"w", w}, {"t", t}});
  EXPECT_EQ(fc.node->op->counts(*fc.node),
            (std::map<std::string, int64_t>{
                {"op_mac_1bx2b", 6}, {"param_threshold_5b", 2}, {"param_weight_1b", 6}}));
}

// The image of block memory has one line for each word, of as many digits as a word needs.
TEST(Mvau, MemoryImagesHaveAllTheirWords) {
  Tensor w = make_zero(integer_type(2, true, {120, 50}));
  std::mt19937_64 random(2);
  for (int64_t& v : w.ints) v = static_cast<int64_t>(random() % 4) - 2;
  const Layer fc = layer("u2", {50}, {{"w", w}}, {{"pe", int64_t{2}}, {"simd", int64_t{5}}});
  const Hardware hardware = fc.node->op->emit(*fc.node, Family::xilinx, "fc");
  ASSERT_EQ(hardware.memories.size(), 1u);
  EXPECT_EQ(hardware.memories[0].name, "fc_weights.mem");
  EXPECT_EQ(hardware.memories[0].text.size(), 600u * 6);  // 20 bits are five digits and an end
  for (const TextFile& file : hardware.modules) EXPECT_EQ(file.name.substr(0, 2), "fc");
  EXPECT_EQ(fc.node->op->emit(*fc.node, Family::xilinx, "fc").modules.back().text,
            hardware.modules.back().text);
}

// A convolution of four pixels at once: their rows have the same weights a pixel on, and share what
// is counted of neighbouring pixels. The cost is that of some of its rows and columns.
TEST(Mvau, CostOfSeveralPixelsAtOnceIsNearItsNetlist) {
  constexpr int64_t kChannels = 32, kKernel = 3, kPixels = 4, kWidth = kPixels + kKernel - 1;
  constexpr int64_t kRows = kPixels * kChannels, kColumns = kKernel * kWidth * kChannels;
  std::mt19937_64 random(1);
  Tensor w = make_zero(integer_type(2, true, {kRows, kColumns}));
  for (int64_t out = 0; out < kChannels; ++out) {
    for (int64_t tap = 0; tap < kKernel * kKernel * kChannels; ++tap) {
      const int64_t sign = random() % 2 == 0 ? 1 : -1;
      const int64_t y = tap / (kKernel * kChannels), x = tap % (kKernel * kChannels);
      for (int64_t pixel = 0; pixel < kPixels; ++pixel) {
        w.ints[(pixel * kChannels + out) * kColumns + (y * kWidth + pixel) * kChannels + x] = sign;
      }
    }
  }
  arith::ConstantMatrixSpec spec;
  spec.activation = {arith::Coding::kUnsigned, 1};
  for (int64_t row = 0; row < kRows; ++row) {
    const auto first = w.ints.begin() + row * kColumns;
    spec.weights.emplace_back(first, first + kColumns);
  }
  const double netlist = arith::constant_matrix(spec).module.cost.luts;
  const Layer conv = layer("u1", {1, kColumns}, {{"w", w}}, {{"pe", kRows}, {"simd", kColumns}});
  const Op& op = *conv.node->op;
  const double said = op.cost(*conv.node, Family::xilinx).lut;
  const double queue =
      queue_cost(op.rhythm(*conv.node, Family::xilinx), op.ports(*conv.node).out[0].width()).lut;
  EXPECT_NEAR(said - queue, netlist, 0.03 * netlist);
  EXPECT_LE(op.least_cost(*conv.node, Family::xilinx).lut, said);
}

}  // namespace
}  // namespace foldstream
