// SPDX-License-Identifier: Apache-2.0
#include "src/flow/compile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// A layer, then steps with constants of their own for each channel, between them views that turn,
// cut, pool and flatten: what stays on the host must meet its own channels wherever they went.
class RandomViews {
 public:
  explicit RandomViews(uint32_t seed) : random_(seed) {}

  Graph make() {
    Value x = add("input", {}, {{"type", std::string("f32")}, {"shape", Shape{1, 3, 2, 4}}});
    x = add("quant", {x},
            {{"bits", int64_t{4}},
             {"signed", int64_t{1}},
             {"narrow", int64_t{0}},
             {"rounding", std::string("ROUND")}},
            {{"scale", make_floats({}, {1})}, {"zero", make_floats({}, {0})}});
    x = add("matmul", {x, constant({4, 5})});
    axis_ = 3;
    for (int64_t moves = 3 + below(5); moves > 0; --moves) x = moved(x);
    graph_.outputs.push_back({"y", x});
    return std::move(graph_);
  }

  Tensor frame(const Graph& graph) {
    Tensor x = make_zero(graph.nodes.front().out[0]);
    for (double& v : x.reals) v = static_cast<double>(below(16)) - 8;
    return x;
  }

 private:
  using Attrs = std::map<std::string, Attr, std::less<>>;

  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  Value add(const char* op, std::vector<Value> in, Attrs attr = {},
            std::map<std::string, Tensor, std::less<>> data = {}) {
    const std::string name = op + std::to_string(graph_.nodes.size());
    return {&graph_.add(require_op(op), std::move(in), name, std::move(attr), std::move(data)), 0};
  }
  Tensor integers(const Shape& shape) {
    std::vector<double> values(static_cast<size_t>(element_count(shape)));
    for (double& v : values) v = static_cast<double>(below(13)) - 6;
    return make_floats(shape, std::move(values));
  }
  Value constant(const Shape& shape) {
    return add("constant", {}, {}, {{"value", integers(shape)}});
  }

  Value moved(Value x) {
    const Shape shape = x.type().shape;
    const auto rank = static_cast<int64_t>(shape.size());
    switch (below(rank == 4 ? 7 : 3)) {
      case 0:
        return add("relu", {x});
      case 1:
      case 2: {
        Shape own(shape.size(), 1);
        if (axis_ >= 0) own[static_cast<size_t>(axis_)] = shape[static_cast<size_t>(axis_)];
        return add(below(2) == 0 ? "mul" : "add", {x, constant(own)});
      }
      case 3: {
        std::vector<int64_t> perm{0, 1, 2, 3};
        std::shuffle(perm.begin() + 1, perm.end(), random_);
        axis_ = std::find(perm.begin(), perm.end(), axis_) - perm.begin();
        return add("transpose", {x}, {{"perm", perm}});
      }
      case 4: {
        const auto along = static_cast<size_t>(1 + below(3));
        Shape begin(4, 0), size = shape;
        begin[along] = below(shape[along]);
        size[along] = 1 + below(shape[along] - begin[along]);
        return add("slice", {x}, {{"begin", begin}, {"size", size}});
      }
      case 5:
        if (shape[2] < 2 || shape[3] < 2) return x;
        return add("max_pool", {x},
                   {{"kernel", Shape{2, 2}},
                    {"stride", Shape{1, 1}},
                    {"dilation", Shape{1, 1}},
                    {"pad", Shape{0, 0, 0, 0}}});
      default: {
        // Elements of a channel lie apart then; only what is the same for all may follow.
        axis_ = -1;
        return add("reshape", {x}, {{"shape", Shape{1, element_count(shape)}}});
      }
    }
  }

  std::mt19937 random_;
  Graph graph_;
  int64_t axis_ = 0;
};

TEST(Compile, StepsOfChannelsMeetTheirChannelsBehindViews) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 600; ++seed) {
    RandomViews network(seed);
    const Graph source = network.make();
    const Compiled compiled = compile(source, {});
    const Evaluator reference(source);
    const PartsRunner parts(compiled.parts);
    for (int frame = 0; frame < 3; ++frame) {
      const std::vector<Tensor> inputs = {network.frame(source)};
      ASSERT_EQ(reference.run(inputs).front(), parts.run(inputs).front())
          << "seed " << seed << "\n"
          << print(source) << print(compiled.parts.tail);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 1800);
}

// Along positions each score has the same bias, so it decides nothing; along channels it does.
TEST(Compile, ASelectionAlongPositionsHasNoUseForABiasOfChannels) {
  for (const int axis : {1, 2}) {
    const Graph source = parse(fmt::format(R"(foldstream 1
graph "select"
%0 "x" = input {{shape=[1, 2, 3], type="f32"}} : f32[1,2,3]
%1 "q" = quant %0 {{bits=4, narrow=0, rounding="ROUND", signed=1}} (scale=@0, zero=@1) : f32[1,2,3]
%2 "w" = constant (value=@2) : f32[3,3]
%3 "fc" = matmul %1, %2 : f32[1,2,3]
%4 "b" = constant (value=@3) : f32[{}]
%5 "add" = add %3, %4 : f32[1,2,3]
%6 "best" = argmax %5 {{axis=2, keepdims=1}} : s64[1,2,1]
output "y" %6
@0 = f32[] 1.0
@1 = f32[] 0.0
@2 = f32[3,3] 1.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 1.0
@3 = f32[{}] {}
)",
                                           axis == 1 ? "1,2,1" : "3", axis == 1 ? "1,2,1" : "3",
                                           axis == 1 ? "0.0 5.0" : "0.0 5.0 1.0"));
    const Compiled compiled = compile(source, {});
    const PartsRunner parts(compiled.parts);
    const Evaluator reference(source);
    std::mt19937 random(3);
    for (int frame = 0; frame < 50; ++frame) {
      Tensor x = make_zero(source.nodes.front().out[0]);
      for (double& v : x.reals) v = static_cast<double>(random() % 16) - 8;
      ASSERT_EQ(reference.run({&x, 1}).front().ints, parts.run({x}).front().ints) << axis;
    }
  }
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
