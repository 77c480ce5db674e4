// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <gtest/gtest.h>

#include "src/ir/eval.h"

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

}  // namespace
}  // namespace foldstream
