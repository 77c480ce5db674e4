// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "src/ir/eval.h"
#include "src/rtl/block.h"

namespace foldstream {
namespace {

using List = std::vector<int64_t>;

struct Layer {
  Graph graph;
  Node* node = nullptr;
  List run(List x) const {
    const Tensor in = make_ints(node->in_type(0), std::move(x));
    const Tensor* operand = &in;
    return evaluate_node(*node, {&operand, 1})[0].ints;
  }
};

Layer layer(const std::string& type, Shape shape, std::map<std::string, Attr, std::less<>> attr,
            std::map<std::string, Tensor, std::less<>> data) {
  Layer layer;
  Node& x = layer.graph.add(require_op("input"), {}, "x", {{"type", type}, {"shape", shape}});
  layer.node =
      &layer.graph.add(require_op("vvau"), {{&x, 0}}, "dw", std::move(attr), std::move(data));
  return layer;
}

TEST(Vvau, EveryChannelHasItsOwnWeights) {
  const Layer dw =
      layer("u2", {1, 3, 2}, {{"kernel", List{2}}}, {{"w", make_ints(Shape{2, 2}, {1, 2, -1, 1})}});
  EXPECT_EQ(dw.node->out[0].shape, (Shape{1, 2, 2}));
  EXPECT_EQ(element_name(dw.node->out[0]), "s5");  // -3 to 9
  EXPECT_EQ(dw.run({1, 0, 2, 1, 3, 3}), (List{5, 1, 8, 2}));
}

TEST(Vvau, PaddingTakesPart) {
  const Layer dw =
      layer("s3", {1, 2, 2, 1},
            {{"kernel", List{2, 2}}, {"pad", List{1, 1, 0, 0}}, {"pad_value", int64_t{-2}}},
            {{"w", make_ints(Shape{1, 4}, {1, 1, 1, 3})}});
  EXPECT_EQ(dw.run({1, 2, 3, -4}), (List{-3, 3, 6, -6}));
}

TEST(Vvau, Thresholds) {
  const Layer dw = layer("u2", {1, 2, 2}, {{"kernel", List{1}}},
                         {{"w", make_ints(Shape{2, 1}, {1, 2})},
                          {"t", make_ints(Shape{2, 2}, {1, 3, 0, 6})},
                          {"flip", make_ints(Shape{2}, {0, 1})}});
  EXPECT_EQ(dw.run({1, 0, 3, 3}), (List{1, 1, 2, 0}));
}

// Blocks of the memories of constants in the text of a module.
double blocks_in(const std::string& text) {
  constexpr std::string_view kBlock =
      "rom_style = \"block\" *)";  // logic [WIDTH - 1:0] name [DEPTH];
  double blocks = 0;
  for (size_t at = text.find(kBlock); at != std::string::npos; at = text.find(kBlock, at + 1)) {
    const size_t width_at = text.find('[', at) + 1, depth_at = text.find('[', width_at) + 1;
    const int64_t width = std::stoll(text.substr(width_at)) + 1;
    const int64_t depth = std::stoll(text.substr(depth_at));
    blocks += block_memory_cost(BlockUse::constants, width, depth).bram18;
  }
  return blocks;
}

TEST(Vvau, TablesOfThresholdsInBlockMemoryAreCounted) {
  constexpr int64_t kChannels = 512, kLevels = 15;
  List weights, thresholds;
  for (int64_t channel = 0; channel < kChannels; ++channel) {
    for (int64_t tap = 0; tap < 2; ++tap) weights.push_back((channel * 5 + tap * 3) % 16 - 8);
    for (int64_t i = 0; i < kLevels; ++i) thresholds.push_back(16 * i - 120 + channel % 16);
  }
  const auto make = [&](bool with_thresholds) {
    std::map<std::string, Tensor, std::less<>> data;
    data["w"] = {integer_type(4, true, {kChannels, 2}), weights, {}};
    if (with_thresholds) data["t"] = make_ints(Shape{kChannels, kLevels}, thresholds);
    return layer("u4", {1, 4, kChannels}, {{"kernel", List{2}}, {"pe", 1}}, std::move(data));
  };
  const Layer plain = make(false), compared = make(true);
  const Op& op = *compared.node->op;
  double found = 0;
  for (const TextFile& file : op.emit(*compared.node, Family::xilinx, "dw").modules) {
    if (file.name.find("thresholds") != std::string::npos) found += blocks_in(file.text);
  }
  EXPECT_GT(found, 0);
  EXPECT_EQ(
      op.cost(*compared.node, Family::xilinx).bram18 - op.cost(*plain.node, Family::xilinx).bram18,
      found);
}

}  // namespace
}  // namespace foldstream
