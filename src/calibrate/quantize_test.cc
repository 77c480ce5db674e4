// SPDX-License-Identifier: Apache-2.0
#include "src/calibrate/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>

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
  double last = 1;
  for (const int bits : {3, 5, 8, 12}) {
    const QuantizedModel quantized =
        quantize_model(model.graph, samples, {.weight_bits = bits, .activation_bits = bits});
    const double error = error_of(quantized.graph, model.graph, others);
    EXPECT_LT(error, last / 2) << bits;
    last = error;
  }
  EXPECT_LT(last, 0.002);
}

TEST(QuantizeModelTest, EveryProductHasItsQuantizersAndSharesThem) {
  FloatModel model;
  const QuantizedModel quantized = quantize_model(model.graph, model.samples(10), {});
  ASSERT_EQ(quantized.products.size(), 4U);
  EXPECT_TRUE(quantized.products[0].activation_signed);
  EXPECT_FALSE(quantized.products[1].activation_signed);
  EXPECT_EQ(quantized.products[1].activation_scale, quantized.products[2].activation_scale);
  int count = 0;
  for (const Node& node : quantized.graph.nodes) count += node.op == &require_op("quant") ? 1 : 0;
  EXPECT_EQ(count, 4 + 3);  // of weights; of operands, one for two convolutions
  for (const QuantizedProduct& product : quantized.products) {
    EXPECT_GT(product.weight_error, 0);
    EXPECT_LT(product.weight_error, 0.01);
    EXPECT_LT(product.activation_error, 0.02);
  }
}

TEST(QuantizeModelTest, PowersOfTwoLeaveNothingInFloats) {
  FloatModel model;
  const std::vector<Tensor> samples = model.samples(10);
  const QuantizedModel quantized = quantize_model(
      model.graph, samples, {.weight_bits = 4, .activation_bits = 4, .power_of_two = true});
  for (const QuantizedProduct& product : quantized.products) {
    const double exponent = std::log2(product.activation_scale);
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
