// SPDX-License-Identifier: Apache-2.0
#include "src/flow/compile.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Random quantized multi-layer networks whose scales are powers of two, where float32 itself is
// exact: the integer graph must give the very same floats. Batch normalizations have negative and
// zero scales, quantizers every rounding mode.
class RandomNetwork {
 public:
  explicit RandomNetwork(uint32_t seed) : random_(seed) {}

  Graph make() {
    Graph graph;
    graph.name = "random";
    int64_t width = 1 + below(12);
    Value x{&graph.add(require_op("input"), {}, "x",
                       {{"type", std::string("f32")}, {"shape", Shape{1, width}}}),
            0};
    x = activation_quantizer(graph, x);
    const int64_t layers = 1 + below(3);
    for (int64_t layer = 0; layer < layers; ++layer) {
      const int64_t next = 1 + below(12);
      const Value raw = constant(graph, {width, next}, [&] { return dyadic(6, 4); });
      const Value weights =
          below(4) == 0 ? bipolar_quantizer(graph, raw) : weight_quantizer(graph, raw, next);
      x = {&graph.add(require_op("matmul"), {x, weights}, name("fc")), 0};
      width = next;
      for (int64_t steps = below(4); steps > 0; --steps) x = scalar_step(graph, x, width);
      if (layer + 1 < layers || below(2) == 0) x = activation_quantizer(graph, x);
    }
    graph.outputs.push_back({"y", x});
    return graph;
  }

  Tensor frame(const Graph& graph) {
    Tensor x = make_zero(graph.nodes.front().out[0]);
    for (double& v : x.reals) v = dyadic(8, 3);
    return x;
  }

 private:
  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  std::string name(const char* stem) { return stem + std::to_string(count_++); }

  // A multiple of 2^-fraction of at most `bits` bits.
  double dyadic(int bits, int fraction) {
    return std::ldexp(static_cast<double>(below(int64_t{2} << bits) - (int64_t{1} << bits)),
                      -fraction);
  }
  double power_of_two() { return std::ldexp(1.0, static_cast<int>(below(5)) - 3); }

  template <class Draw>
  Value constant(Graph& graph, Shape shape, const Draw& draw) {
    std::vector<double> values(element_count(shape));
    for (double& v : values) v = draw();
    return {&graph.add(require_op("constant"), {}, name("c"), {},
                       {{"value", make_floats(std::move(shape), std::move(values))}}),
            0};
  }

  template <class Draw>
  Tensor floats(Shape shape, const Draw& draw) {
    std::vector<double> values(element_count(shape));
    for (double& v : values) v = draw();
    return make_floats(std::move(shape), std::move(values));
  }

  Value quant(Graph& graph, Value x, int64_t bits, bool is_signed, Tensor scale, Tensor zero) {
    static constexpr std::array kModes = {"HALF_EVEN", "CEIL",    "FLOOR",    "UP",
                                          "DOWN",      "HALF_UP", "HALF_DOWN"};
    const bool narrow = bits > 1 && below(2) == 0;
    return {&graph.add(require_op("quant"), {x}, name("quant"),
                       {{"bits", bits},
                        {"signed", int64_t{is_signed}},
                        {"narrow", int64_t{narrow}},
                        {"rounding", std::string(kModes[below(kModes.size())])}},
                       {{"scale", std::move(scale)}, {"zero", std::move(zero)}}),
            0};
  }
  Value activation_quantizer(Graph& graph, Value x) {
    if (below(5) == 0) return bipolar_quantizer(graph, x);
    const int64_t bits = 2 + below(4);
    return quant(graph, x, bits, below(2) == 0, floats({}, [&] { return power_of_two(); }),
                 floats({}, [&] { return below(3) == 0 ? static_cast<double>(below(3)) : 0.0; }));
  }
  Value weight_quantizer(Graph& graph, Value w, int64_t columns) {
    const Shape shape = below(2) == 0 ? Shape{} : Shape{1, columns};
    return quant(graph, w, 2 + below(3), true, floats(shape, [&] { return power_of_two(); }),
                 floats({}, [] { return 0.0; }));
  }
  Value bipolar_quantizer(Graph& graph, Value x) {
    return {&graph.add(require_op("bipolar_quant"), {x}, name("bipolar"), {},
                       {{"scale", floats({}, [&] { return power_of_two(); })}}),
            0};
  }
  Value scalar_step(Graph& graph, Value x, int64_t width) {
    const Shape shape = below(2) == 0 ? Shape{1} : Shape{width};
    const auto any = [&] { return dyadic(3, 2); };
    const auto factor = [&] {
      return below(6) == 0 ? 0.0 : below(2) == 0 ? -power_of_two() : power_of_two();
    };
    switch (below(5)) {
      case 0:
        return {&graph.add(require_op("add"), {x, constant(graph, shape, any)}, name("add")), 0};
      case 1:
        return {&graph.add(require_op("sub"), {constant(graph, shape, any), x}, name("sub")), 0};
      case 2:
        return {&graph.add(require_op("mul"), {x, constant(graph, shape, factor)}, name("mul")), 0};
      case 3:
        return {
            &graph.add(require_op("div"),
                       {x, constant(graph, shape, [&] { return power_of_two(); })}, name("div")),
            0};
      default:
        return {&graph.add(require_op("relu"), {x}, name("relu")), 0};
    }
  }

  std::mt19937 random_;
  int count_ = 0;
};

TEST(Compile, RandomNetworksKeepEveryFloat) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    RandomNetwork network(seed);
    const Graph source = network.make();
    CompileOptions options;
    options.standalone_thresholds = seed % 2 == 0;
    const Compiled compiled = compile(source, options);
    for (const FlowStep& step : compiled.steps) {
      const std::string text = print(step.graph);
      ASSERT_EQ(print(parse(text)), text);
    }
    const Evaluator reference(source);
    const PartsRunner parts(compiled.parts);
    for (int frame = 0; frame < 20; ++frame) {
      const std::vector<Tensor> inputs = {network.frame(source)};
      const std::vector<double> expected = reference.run(inputs).front().reals;
      for (const FlowStep& step : compiled.steps) {
        ASSERT_EQ(expected, Evaluator(step.graph).run(inputs).front().reals)
            << "seed " << seed << ", " << step.name << "\n"
            << print(source) << print(step.graph);
      }
      ASSERT_EQ(expected, parts.run(inputs).front().reals) << "seed " << seed;
    }
  }
}

// The bias varies along an axis that the reshape behind it moves; repeated on the host, it must
// still meet the shape it was written for.
TEST(Compile, ASquareReshapedAfterABiasKeepsItsFloats) {
  const Graph source = parse(R"(foldstream 1
graph "square"
%0 "x" = input {shape=[1, 4], type="f32"} : f32[1,4]
%1 "q" = quant %0 {bits=4, narrow=0, rounding="HALF_EVEN", signed=1} (scale=@0, zero=@1) : f32[1,4]
%2 "w" = constant (value=@2) : f32[4,4]
%3 "fc" = matmul %1, %2 : f32[1,4]
%4 "square" = reshape %3 {shape=[1, 2, 2]} : f32[1,2,2]
%5 "b" = constant (value=@3) : f32[2]
%6 "add" = add %4, %5 : f32[1,2,2]
%7 "turned" = reshape %6 {shape=[1, 4, 1]} : f32[1,4,1]
output "y" %7
@0 = f32[] 1.0
@1 = f32[] 0.0
@2 = f32[4,4] 1.0 0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0 1.0
@3 = f32[2] 10.0 20.0
)");
  const Compiled compiled = compile(source, {});
  const std::vector<Tensor> inputs = {make_floats({1, 4}, {1, 2, 3, 4})};
  const std::vector<Tensor> expected = {make_floats({1, 4, 1}, {11, 22, 13, 24})};
  EXPECT_EQ(Evaluator(source).run(inputs), expected);
  EXPECT_EQ(PartsRunner(compiled.parts).run(inputs), expected);
}

std::string layer_before_a_quantizer(const std::string& divisor) {
  return R"(foldstream 1
graph "float_input"
%0 "x" = input {shape=[1, 2], type="f32"} : f32[1,2]
%1 "d" = constant (value=@0) : f32[1]
%2 "scaled" = div %0, %1 : f32[1,2]
%3 "w" = constant (value=@1) : f32[2,2]
%4 "first" = matmul %2, %3 : f32[1,2]
%5 "q" = quant %4 {bits=4, narrow=0, rounding="HALF_EVEN", signed=1} (scale=@2, zero=@3) : f32[1,2]
%6 "second" = matmul %5, %3 : f32[1,2]
output "y" %6
@0 = f32[1] )" +
         divisor +
         R"(
@1 = f32[2,2] 1.0 2.0 -1.0 1.0
@2 = f32[] 1.0
@3 = f32[] 0.0
)";
}

TEST(Compile, NamesTheOptionThatMovesTheFirstLayerIntoHardware) {
  const auto notes = [](const std::string& divisor, const StreamlineOptions& streamline) {
    return compile(parse(layer_before_a_quantizer(divisor)), {.streamline = streamline}).notes;
  };
  const std::vector<std::string> pixels = notes("255.0", {});
  ASSERT_EQ(pixels.size(), 1u);
  EXPECT_NE(pixels[0].find("'first' (mvau)"), std::string::npos) << pixels[0];
  EXPECT_NE(pixels[0].find("division by 255 suggests"), std::string::npos) << pixels[0];
  const std::vector<std::string> other = notes("2.0", {});
  ASSERT_EQ(other.size(), 1u);
  EXPECT_NE(other[0].find("--input-scale S"), std::string::npos) << other[0];
  StreamlineOptions told;
  told.every_input = InputFormat{};
  EXPECT_TRUE(notes("255.0", told).empty());
}

}  // namespace
}  // namespace foldstream
