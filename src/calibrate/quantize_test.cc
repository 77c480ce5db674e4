// SPDX-License-Identifier: Apache-2.0
#include "src/calibrate/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>

#include "src/flow/compile.h"
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// conv 3x3 -> relu -> conv 1x1 by the same operand twice, added -> reshape -> matmul.
struct FloatModel {
  Graph graph;
  std::mt19937 random{5};

  Tensor floats(const Shape& shape, double spread) {
    std::vector<double> values;
    for (int64_t i = 0; i < element_count(shape); ++i) {
      const double unit = static_cast<double>(random()) / 4294967296.0;
      values.push_back(static_cast<float>((2 * unit - 1) * spread));
    }
    return make_floats(shape, std::move(values));
  }
  Value add(const char* op, std::vector<Value> in, const std::string& name,
            std::map<std::string, Attr, std::less<>> attr = {}) {
    return {&graph.add(require_op(op), std::move(in), name, std::move(attr)), 0};
  }
  Value constant(const std::string& name, const Shape& shape, double spread) {
    return {&graph.add(require_op("constant"), {}, name, {}, {{"value", floats(shape, spread)}}),
            0};
  }

  FloatModel() {
    Value x = add("input", {}, "x", {{"type", std::string("f32")}, {"shape", Shape{1, 2, 6, 6}}});
    x = add("conv", {x, constant("w1", {4, 2, 3, 3}, 0.5)}, "first");
    x = add("relu", {x}, "positive");
    const Value a = add("conv", {x, constant("w2", {3, 4, 1, 1}, 1)}, "second");
    const Value b = add("conv", {x, constant("w3", {3, 4, 1, 1}, 1)}, "third");
    x = add("reshape", {add("add", {a, b}, "sum")}, "flat", {{"shape", Shape{1, 48}}});
    // As a matrix with several products, transposed as exporters write it.
    const Value w =
        add("transpose", {constant("w4", {5, 48}, 0.2)}, "turned", {{"perm", Shape{1, 0}}});
    graph.outputs.push_back({"scores", add("matmul", {x, w}, "last")});
  }

  std::vector<Tensor> samples(int count) {
    std::vector<Tensor> all;
    for (int i = 0; i < count; ++i) all.push_back(floats({1, 2, 6, 6}, 1));
    return all;
  }
};

double error_of(const Graph& found, const Graph& expected, const std::vector<Tensor>& samples) {
  double error = 0, whole = 0;
  for (const Tensor& sample : samples) {
    const Tensor a = Evaluator(found).run(std::span(&sample, 1))[0];
    const Tensor b = Evaluator(expected).run(std::span(&sample, 1))[0];
    for (size_t i = 0; i < a.reals.size(); ++i) {
      error += (a.reals[i] - b.reals[i]) * (a.reals[i] - b.reals[i]);
      whole += b.reals[i] * b.reals[i];
    }
  }
  return std::sqrt(error / whole);
}

TEST(QuantizeModelTest, MoreBitsComeCloser) {
  FloatModel model;
  const std::vector<Tensor> samples = model.samples(20), others = model.samples(20);
  double last = 1.2;
  for (const int bits : {3, 5, 8, 12}) {
    const QuantizedModel quantized =
        quantize_model(model.graph, samples, {.weight_bits = bits, .activation_bits = bits});
    const double error = error_of(quantized.graph, model.graph, others);
    EXPECT_LT(error, last / 2) << bits;
    last = error;
  }
  EXPECT_LT(last, 0.002);
}

const QuantizedActivation& activation(const QuantizedModel& model, const std::string& name) {
  const auto found = std::ranges::find(model.activations, name, &QuantizedActivation::name);
  FOLDSTREAM_CHECK(found != model.activations.end());
  return *found;
}

int64_t count_of(const Graph& graph, std::string_view op) {
  return std::ranges::count_if(graph.nodes, [&](const Node& node) { return node.op->name == op; });
}

Value value_of(Graph& graph, std::string_view name) {
  const auto found = std::ranges::find(graph.nodes, name, &Node::name);
  FOLDSTREAM_CHECK(found != graph.nodes.end());
  return {&*found, 0};
}

void expect_equal_parts(const Graph& graph, const Compiled& compiled,
                        const std::vector<Tensor>& samples) {
  const PartsRunner runner(compiled.parts);
  const Evaluator reference(graph);
  for (const Tensor& sample : samples)
    EXPECT_EQ(runner.run({sample})[0].reals, reference.run(std::span(&sample, 1))[0].reals);
}

TEST(QuantizeModelTest, EveryProductAndSumHasItsQuantizersAndSharesThem) {
  FloatModel model;
  const QuantizedModel quantized = quantize_model(model.graph, model.samples(10), {});
  EXPECT_EQ(quantized.weights.size(), 4U);
  EXPECT_TRUE(activation(quantized, "x").is_signed);
  EXPECT_FALSE(activation(quantized, "positive").is_signed);  // one for two convolutions
  EXPECT_EQ(activation(quantized, "second").scale, activation(quantized, "third").scale);
  EXPECT_NE(activation(quantized, "second").scale, activation(quantized, "flat").scale);
  EXPECT_EQ(count_of(quantized.graph, "quant"), 4 + 5);
  for (const QuantizedWeights& one : quantized.weights) {
    EXPECT_GT(one.error, 0);
    EXPECT_LT(one.error, 0.01);
  }
  for (const QuantizedActivation& one : quantized.activations) EXPECT_LT(one.error, 0.02);
}

// What a concatenation joins has one range, and needs no quantizer behind it; a pool behind the
// last product stays as it is.
TEST(QuantizeModelTest, ConcatenatedValuesAreQuantizedOnce) {
  FloatModel model;
  Graph& graph = model.graph;
  graph.outputs.clear();
  Value x = value_of(graph, "positive");
  const Value a = model.add("conv", {x, model.constant("w5", {3, 4, 1, 1}, 1)}, "fourth");
  const Value both = model.add("concat", {x, a}, "both", {{"axis", int64_t{1}}});
  const Value y = model.add("conv", {both, model.constant("w6", {2, 7, 1, 1}, 1)}, "fifth");
  const Value mean =
      model.add("reduce_mean", {y}, "mean", {{"axes", Shape{2, 3}}, {"keepdims", int64_t{0}}});
  graph.outputs.push_back({"scores", mean});
  const QuantizedModel quantized = quantize_model(graph, model.samples(10), {});
  ASSERT_EQ(quantized.activations.size(), 3U);  // x, positive, fourth
  EXPECT_TRUE(activation(quantized, "positive").is_signed);
  EXPECT_TRUE(activation(quantized, "fourth").is_signed);
  EXPECT_EQ(activation(quantized, "positive").scale, activation(quantized, "fourth").scale);
}

// A residual block, branches, a pool and a transposed convolution: nothing of it stays in floats.
TEST(QuantizeModelTest, WhatMeetsBetweenProductsBecomesHardware) {
  FloatModel model;
  Graph& graph = model.graph;
  graph.outputs.clear();
  Value x = value_of(graph, "positive");
  Value y =
      model.add("relu", {model.add("conv", {x, model.constant("w5", {4, 4, 1, 1}, 1)}, "a")}, "b");
  y = model.add("conv", {y, model.constant("w6", {4, 4, 1, 1}, 1)}, "c");
  const Value block = model.add("relu", {model.add("add", {x, y}, "residual")}, "d");
  const Value best = model.add("max", {block, x}, "best");
  const Value both = model.add("concat", {block, best}, "both", {{"axis", int64_t{1}}});
  Value z = model.add("conv_transpose", {both, model.constant("w7", {8, 4, 2, 2}, 1)}, "larger",
                      {{"stride", Shape{2, 2}}});
  z = model.add("average_pool", {model.add("relu", {z}, "e")}, "mean",
                {{"kernel", Shape{4, 4}}, {"stride", Shape{4, 4}}});
  z = model.add("reshape", {z}, "row", {{"shape", Shape{1, z.type().count()}}});
  graph.outputs.push_back(
      {"scores", model.add("matmul", {z, model.constant("w8", {z.type().count(), 3}, 1)}, "end")});
  const std::vector<Tensor> samples = model.samples(10);
  const QuantizedModel quantized = quantize_model(graph, samples, {.power_of_two = true});
  const Compiled compiled = compile(quantized.graph, {});
  EXPECT_EQ(count_of(compiled.parts.head, "conv") + count_of(compiled.parts.tail, "matmul"), 0);
  expect_equal_parts(quantized.graph, compiled, samples);
}

// What a curve does to sums of few integers is tried out; of many, its operand is quantized.
TEST(QuantizeModelTest, CurvesBehindWideSumsBecomeHardware) {
  FloatModel model;
  Graph& graph = model.graph;
  graph.outputs.clear();
  Value x = {&graph.nodes.front(), 0};
  x = model.add("reshape", {x}, "row", {{"shape", Shape{1, 72}}});
  x = model.add("matmul", {x, model.constant("w5", {72, 6}, 0.2)}, "wide");
  x = model.add("add", {x, model.constant("b5", {6}, 0.2)}, "biased");
  x = model.add("tanh", {x}, "curve");
  graph.outputs.push_back(
      {"scores", model.add("matmul", {x, model.constant("w6", {6, 3}, 1)}, "end")});
  const std::vector<Tensor> samples = model.samples(10);
  for (const int bits : {4, 8}) {
    const QuantizedModel quantized = quantize_model(
        graph, samples, {.weight_bits = bits, .activation_bits = bits, .power_of_two = true});
    EXPECT_EQ(quantized.activations.size(), bits == 4 ? 2U : 3U);
    expect_equal_parts(quantized.graph, compile(quantized.graph, {}), samples);
  }
}

// Products and sums of functions of one value are one curve: nothing inside is quantized.
TEST(QuantizeModelTest, FunctionsOfOneValueAreNotJoined) {
  for (const std::string kind : {"silu", "gelu", "hard swish", "leak"}) {
    for (const int bits : {4, 8}) {
      FloatModel model;
      Graph& graph = model.graph;
      graph.outputs.clear();
      Value x = {&graph.nodes.front(), 0};
      x = model.add("conv", {x, model.constant("w5", {16, 2, 5, 5}, 0.2)}, "wide");
      x = model.add("conv", {x, model.constant("w6", {6, 16, 1, 1}, 0.5)}, "wider");
      x = model.add("add", {x, model.constant("b6", {6, 1, 1}, 0.2)}, "biased");
      const auto constant = [&](const std::string& name) { return model.constant(name, {}, 1); };
      if (kind == "silu") {
        x = model.add("mul", {x, model.add("sigmoid", {x}, "share")}, "curve");
      } else if (kind == "gelu") {
        const Value erf =
            model.add("erf", {model.add("div", {x, constant("root")}, "less")}, "erf");
        x = model.add("mul", {x, model.add("add", {erf, constant("one")}, "share")}, "twice");
        x = model.add("mul", {x, constant("half")}, "curve");
      } else if (kind == "hard swish") {
        const Value sum = model.add("add", {x, constant("three")}, "more");
        const Value share = model.add("clip", {sum}, "share", {{"min", 0.0}, {"max", 1.0}});
        x = model.add("mul", {x, share}, "curve");
      } else {
        x = model.add("sub", {x, model.add("relu", {x}, "positive again")}, "negative");
      }
      x = model.add("max_pool", {x}, "best", {{"kernel", Shape{2, 2}}, {"stride", Shape{2, 2}}});
      x = model.add("reshape", {x}, "row", {{"shape", Shape{1, x.type().count()}}});
      graph.outputs.push_back(
          {"scores",
           model.add("matmul", {x, model.constant("w7", {x.type().count(), 3}, 1)}, "end")});
      const std::vector<Tensor> samples = model.samples(10);
      const QuantizedModel quantized = quantize_model(
          graph, samples, {.weight_bits = bits, .activation_bits = bits, .power_of_two = true});
      // Operands of three products, of them one before the pool; of wide sums the curve's, too.
      EXPECT_EQ(quantized.activations.size(), bits == 4 ? 3U : 4U) << kind;
      const Compiled compiled = compile(quantized.graph, {});
      EXPECT_EQ(count_of(compiled.parts.tail, "matmul"), 0) << kind;
      expect_equal_parts(quantized.graph, compiled, samples);
    }
  }
}

// A maximum of values that fall with the sums of some channels.
TEST(QuantizeModelTest, PoolsBehindChannelsTurnedOverBecomeHardware) {
  FloatModel model;
  Graph& graph = model.graph;
  graph.outputs.clear();
  Value x = {&graph.nodes.front(), 0};
  x = model.add("conv", {x, model.constant("w5", {4, 2, 1, 1}, 1)}, "a");
  x = {&graph.add(require_op("batch_normalization"), {x}, "b", {{"epsilon", 1e-5}},
                  {{"scale", make_floats({4}, {1, -1, 0.5, -2})},
                   {"bias", make_floats({4}, {0, 0.5, 0.5, 1})},
                   {"mean", make_floats({4}, {0, 0, 0, 0})},
                   {"var", make_floats({4}, {1, 1, 1, 1})}}),
       0};
  x = model.add("max_pool", {model.add("relu", {x}, "c")}, "d",
                {{"kernel", Shape{2, 2}}, {"stride", Shape{2, 2}}});
  x = model.add("reshape", {x}, "row", {{"shape", Shape{1, x.type().count()}}});
  graph.outputs.push_back(
      {"scores", model.add("matmul", {x, model.constant("w6", {36, 3}, 1)}, "end")});
  const std::vector<Tensor> samples = model.samples(10);
  const QuantizedModel quantized = quantize_model(graph, samples, {.power_of_two = true});
  EXPECT_EQ(quantized.activations.size(), 2U);  // x and c; the product takes what the pool gives
  expect_equal_parts(quantized.graph, compile(quantized.graph, {}), samples);
}

// Padding at one side, behind an activation.
TEST(QuantizeModelTest, PaddedActivationsBecomeHardware) {
  FloatModel model;
  Graph& graph = model.graph;
  graph.outputs.clear();
  Value x = value_of(graph, "positive");
  x = model.add("pad", {x}, "wider", {{"pad", Shape{0, 0, 0, 0, 0, 0, 1, 1}}});
  x = model.add("conv", {x, model.constant("w5", {4, 4, 2, 2}, 1)}, "a");
  graph.outputs.push_back({"scores", x});
  const std::vector<Tensor> samples = model.samples(10);
  const QuantizedModel quantized = quantize_model(graph, samples, {.power_of_two = true});
  EXPECT_EQ(quantized.activations.size(), 2U);  // x and positive
  expect_equal_parts(quantized.graph, compile(quantized.graph, {}), samples);
}

// A single negative element, and weights below what has a scale in float32.
TEST(QuantizeModelTest, RareSignsAndTinyWeightsAreSeen) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", std::string("f32")}, {"shape", Shape{1, 400}}});
  std::vector<double> weights;
  for (int64_t i = 0; i < 400; ++i) weights.insert(weights.end(), {1e-44, 1});
  Node& w = graph.add(require_op("constant"), {}, "w", {},
                      {{"value", make_floats({400, 2}, std::move(weights))}});
  graph.outputs.push_back({"y", {&graph.add(require_op("matmul"), {{&x, 0}, {&w, 0}}, "p"), 0}});
  std::vector<Tensor> samples(200, make_floats({1, 400}, std::vector<double>(400, 1.0)));
  for (int64_t at : {0, 1, 7, 399}) {
    samples[3] = samples[0];
    samples[3].reals[at] = -1;
    const QuantizedModel quantized = quantize_model(graph, samples, {});
    EXPECT_TRUE(activation(quantized, "x").is_signed) << at;
    EXPECT_NEAR(Evaluator(quantized.graph).run(std::span(&samples[3], 1))[0].reals[1], 398, 5);
    EXPECT_EQ(Evaluator(quantized.graph).run(std::span(&samples[3], 1))[0].reals[0], 0);
  }
  samples[3].reals[5] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(quantize_model(graph, samples, {}), Error);
}

TEST(QuantizeModelTest, PowersOfTwoLeaveNothingInFloats) {
  FloatModel model;
  const std::vector<Tensor> samples = model.samples(10);
  const QuantizedModel quantized = quantize_model(
      model.graph, samples, {.weight_bits = 4, .activation_bits = 4, .power_of_two = true});
  for (const QuantizedActivation& one : quantized.activations) {
    const double exponent = std::log2(one.scale);
    EXPECT_EQ(exponent, std::floor(exponent));
  }
  EXPECT_LT(error_of(quantized.graph, model.graph, samples), 0.3);
}

TEST(QuantizeModelTest, AModelWithoutFloatProductsIsRefused) {
  Graph graph;
  Node& x = graph.add(require_op("input"), {}, "x",
                      {{"type", std::string("f32")}, {"shape", Shape{1, 4}}});
  graph.outputs.push_back({"y", {&graph.add(require_op("relu"), {{&x, 0}}, "r"), 0}});
  EXPECT_THROW(quantize_model(graph, {}, {}), Error);
}

}  // namespace
}  // namespace foldstream
