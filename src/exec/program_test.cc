// SPDX-License-Identifier: Apache-2.0
// The CPU twin against the graph's meaning: chains that make neighbours agree on packed forms, at
// every level of instructions, with any number of frames and threads.
#include "src/exec/program.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "src/exec/crew.h"
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/text.h"
#include "src/kernel/convert.h"
#include "src/kernel/level.h"
#include "src/source/window.h"
#include "src/util/error.h"

namespace foldstream::exec {
namespace {

std::mt19937_64& randomness() {
  static std::mt19937_64 random(7);
  return random;
}

int64_t draw(int64_t lo, int64_t hi) {
  return lo + static_cast<int64_t>(randomness()() % static_cast<uint64_t>(hi - lo + 1));
}

Tensor random_ints(Shape shape, int64_t lo, int64_t hi) {
  std::vector<int64_t> values(element_count(shape));
  for (int64_t& value : values) value = draw(lo, hi);
  return make_ints(type_for_range(lo, hi, std::move(shape)), values);
}

Tensor bipolar(const Shape& shape) {
  Tensor tensor = random_ints(shape, 0, 1);
  for (int64_t& value : tensor.ints) value = 2 * value - 1;
  return make_ints(integer_type(2, true, shape), tensor.ints);
}

// Ascending rows; `even` spaces them as a scale and a rounding would.
Tensor thresholds(int64_t rows, int64_t levels, int64_t lo, int64_t hi, bool even) {
  std::vector<int64_t> values;
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<int64_t> row;
    const double step = static_cast<double>(draw(1, 1000)) / 1000 * static_cast<double>(hi - lo) /
                        static_cast<double>(levels);
    const auto first = static_cast<double>(draw(lo, lo + (hi - lo) / 2));
    for (int64_t i = 0; i < levels; ++i) {
      row.push_back(even ? static_cast<int64_t>(std::ceil(first + step * static_cast<double>(i)))
                         : draw(lo, hi));
    }
    std::sort(row.begin(), row.end());
    values.insert(values.end(), row.begin(), row.end());
  }
  return make_ints(Shape{rows, levels}, values);
}

class Net {
 public:
  Net(const Type& input) {
    graph.name = "net";
    at = {&graph.add(require("input"), {}, "x",
                     {{"type", element_name(input)}, {"shape", input.shape}}),
          0};
  }
  static const Op& require(const char* op) { return require_op(op); }

  Net& threshold(int64_t levels) {
    const int64_t channels = at.type().shape.back();
    return then("threshold", {},
                {{"t", thresholds(channels, levels, at.type().min(), at.type().max(), false)}});
  }
  Net& mvau(Tensor w, int64_t levels, bool even = false, bool flips = false, int64_t groups = 1) {
    std::map<std::string, Tensor, std::less<>> data{{"w", w}};
    const int64_t rows = w.type.shape[0];
    if (levels > 0) {
      const int64_t reach = std::max<int64_t>(w.type.shape[1] / 2 * at.type().max(), 2);
      data["t"] = thresholds(rows, levels, -reach, reach, even);
      if (flips) {
        data["flip"] = make_ints(integer_type(1, false, {rows}), random_ints({rows}, 0, 1).ints);
      }
    }
    return then("mvau", {{"groups", groups}}, std::move(data));
  }
  Net& then(const char* op, std::map<std::string, Attr, std::less<>> attr = {},
            std::map<std::string, Tensor, std::less<>> data = {}) {
    at = {&graph.add(require(op), {at}, fmt_name(op), std::move(attr), std::move(data)), 0};
    return *this;
  }
  // With a constant second operand.
  Net& by(const char* op, Tensor constant, std::map<std::string, Attr, std::less<>> attr = {}) {
    const Value second{&graph.add(require("constant"), {}, fmt_name("constant"), {},
                                  {{"value", std::move(constant)}}),
                       0};
    at = {&graph.add(require(op), {at, second}, fmt_name(op), std::move(attr)), 0};
    return *this;
  }
  std::string fmt_name(const char* op) { return std::string(op) + std::to_string(count++); }
  Graph done() {
    graph.outputs.push_back({"y", at});
    return std::move(graph);
  }

  Graph graph;
  Value at;
  int count = 0;
};

std::vector<Tensor> run_all(const Program& program, const std::vector<std::vector<Tensor>>& frames,
                            int threads) {
  const auto count = static_cast<int64_t>(frames.size());
  std::vector<std::vector<std::byte>> in;
  std::vector<const void*> from;
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    const Storage& storage = program.inputs()[i].storage;
    auto& memory = in.emplace_back(count * storage.bytes());
    for (int64_t f = 0; f < count; ++f) {
      kernel::store(frames[f][i], storage, memory.data() + f * storage.bytes());
    }
    from.push_back(memory.data());
  }
  const Port& port = program.outputs()[0];
  std::vector<std::byte> out(count * port.storage.bytes());
  Crew crew(threads);
  program.run(from, {out.data()}, count, crew);
  std::vector<Tensor> results;
  for (int64_t f = 0; f < count; ++f) {
    Tensor& tensor = results.emplace_back(make_zero(port.type));
    kernel::load(port.storage, out.data() + f * port.storage.bytes(), tensor);
  }
  return results;
}

// Equal to the meaning at every level; `kernels` of its steps are kernels.
void expect_twin(const Graph& graph, int64_t frames = 9, bool all_kernels = true) {
  const Evaluator meaning(graph);
  std::vector<std::vector<Tensor>> operands;
  for (int64_t f = 0; f < frames; ++f) {
    auto& frame = operands.emplace_back();
    for (const Node* input : meaning.inputs()) {
      const Type& type = input->out[0];
      frame.push_back(make_ints(type, random_ints(type.shape, type.min(), type.max()).ints));
    }
  }
  for (const std::string& level : kernel::levels()) {
    const Program program(graph, {.level = level});
    for (const StepInfo& step : program.steps()) {
      if (all_kernels) {
        EXPECT_TRUE(step.is_kernel) << level << ": node " << step.node << " has no kernel";
      }
    }
    const std::vector<Tensor> results = run_all(program, operands, 1);
    for (int64_t f = 0; f < frames; ++f) {
      ASSERT_EQ(results[f], meaning.run(operands[f])[0])
          << "frame " << f << " at " << level << " of\n"
          << print(graph).substr(0, 2000);
    }
  }
}

TEST(Program, BitsThroughBipolarLayers) {
  for (const int64_t columns : {1, 7, 64, 65, 200, 784}) {
    Net net(integer_type(1, false, {3, columns}));
    expect_twin(net.mvau(bipolar({70, columns}), 1, false, true)
                    .mvau(bipolar({16, 70}), 1)
                    .mvau(bipolar({10, 16}), 0)
                    .done());
  }
}

TEST(Program, CountsOfManyWordsDontOverflow) {
  Net net(integer_type(1, false, {2, 64 * 70}));
  expect_twin(net.mvau(bipolar({9, 64 * 70}), 0).done(), 2);
}

TEST(Program, TritsThroughTernaryLayers) {
  for (const int64_t columns : {3, 64, 130}) {
    Net net(integer_type(8, false, {2, columns}));
    expect_twin(net.threshold(2)
                    .mvau(random_ints({66, columns}, -1, 1), 2, false, true)
                    .mvau(bipolar({20, 66}), 2)
                    .mvau(random_ints({5, 20}, -1, 1), 0)
                    .done());
  }
}

TEST(Program, BitsThroughTernaryLayers) {
  Net net(integer_type(1, false, {5, 100}));
  expect_twin(
      net.mvau(random_ints({40, 100}, -1, 1), 3).mvau(random_ints({12, 40}, -1, 1), 1).done());
}

TEST(Program, BytesOfAnySign) {
  for (const bool is_signed : {false, true}) {
    for (const int64_t columns : {1, 5, 64, 203}) {
      for (const int64_t weight : {1, 7, 127}) {
        Net net(integer_type(8, is_signed, {3, columns}));
        expect_twin(net.mvau(random_ints({33, columns}, -weight, weight), 15, true, true)
                        .mvau(random_ints({8, 33}, -7, 7), 255, true)
                        .mvau(random_ints({10, 8}, -128, 127), 0)
                        .done(),
                    3);
      }
    }
  }
}

TEST(Program, UnevenThresholds) {
  Net net(integer_type(4, false, {4, 30}));
  expect_twin(net.mvau(random_ints({40, 30}, -7, 7), 15)
                  .mvau(random_ints({40, 40}, -7, 7), 200)
                  .mvau(random_ints({6, 40}, -1, 1), 7)
                  .done());
}

// As of activations that are clipped; in some rows no sum reaches any, or each reaches all.
TEST(Program, EvenThresholdsThatEndEarly) {
  for (const int64_t levels : {5, 15, 255}) {
    for (const bool flips : {false, true}) {
      constexpr int64_t kRows = 48, kReach = 300, kOut = 1000000;
      Tensor t = thresholds(kRows, levels, -kReach, kReach, true);
      for (int64_t r = 0; r < kRows; ++r) {
        const int64_t lo = draw(-kReach, 0), hi = draw(1, kReach);
        const int64_t away = r % 8 == 0 ? kOut : r % 8 == 1 ? -kOut : 0;
        for (int64_t i = 0; i < levels; ++i) {
          int64_t& value = t.ints[r * levels + i];
          if (r % 2 == 0) value = std::clamp(value, lo, hi);
          value += away;
        }
      }
      std::map<std::string, Tensor, std::less<>> data{{"w", random_ints({kRows, 40}, -7, 7)},
                                                      {"t", make_ints(t.type.shape, t.ints)}};
      if (flips) {
        data["flip"] = make_ints(integer_type(1, false, {kRows}), random_ints({kRows}, 0, 1).ints);
      }
      Net net(integer_type(4, false, {6, 40}));
      expect_twin(net.then("mvau", {{"groups", int64_t{1}}}, std::move(data)).done(), 40);
    }
  }
}

TEST(Program, WindowsWhereTheyLie) {
  for (const int64_t channels : {1, 3, 64, 70}) {
    for (const auto& [stride, dilation, pad] :
         {std::tuple{1, 1, 0}, std::tuple{2, 1, 1}, std::tuple{1, 2, 2}}) {
      const int64_t taps = 9 * channels;
      const std::map<std::string, Attr, std::less<>> window{{"kernel", Shape{3, 3}},
                                                            {"stride", Shape{stride, stride}},
                                                            {"dilation", Shape{dilation, dilation}},
                                                            {"pad", Shape{pad, pad, pad, pad}}};
      Net bytes(integer_type(8, true, {1, 9, 8, channels}));
      expect_twin(bytes.then("sliding_window", window).mvau(bipolar({24, taps}), 1).done(), 3);
      Net bits(integer_type(1, false, {1, 9, 8, channels}));
      expect_twin(bits.then("sliding_window", window).mvau(bipolar({24, taps}), 2).done(), 3);
      Net trits(integer_type(6, false, {1, 9, 8, channels}));
      expect_twin(trits.threshold(2)
                      .then("sliding_window", window)
                      .mvau(random_ints({24, taps}, -1, 1), 1)
                      .done(),
                  3);
    }
  }
}

// As in a finished design, where queues and converters stand between the blocks.
TEST(Program, WindowsBehindWhatCarriesStreams) {
  Net net(integer_type(4, false, {1, 9, 8, 6}));
  expect_twin(net.then("sliding_window", {{"kernel", Shape{3, 3}}, {"stride", Shape{1, 1}}})
                  .then("fifo", {{"depth", int64_t{4}}})
                  .then("width_converter", {{"lanes_in", int64_t{1}}, {"lanes_out", int64_t{3}}})
                  .mvau(random_ints({10, 54}, -7, 7), 3)
                  .then("fifo", {{"depth", int64_t{4}}})
                  .done());
}

TEST(Program, PaddingOutsideTheOperandsRange) {
  Net net(integer_type(1, false, {1, 5, 5, 4}));
  expect_twin(
      net.then("sliding_window",
               {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}, {"pad_value", int64_t{-3}}})
          .mvau(bipolar({6, 36}), 0)
          .done());
}

TEST(Program, GroupsOfChannels) {
  for (const int64_t width : {4, 64}) {
    Net net(integer_type(1, false, {1, 6, 6, 2 * width}));
    // Groups whose rows don't fill tiles are computed by the operator's meaning.
    expect_twin(net.then("sliding_window", {{"kernel", Shape{3, 3}}, {"groups", int64_t{2}}})
                    .mvau(bipolar({128, 9 * width}), 1, false, false, 2)
                    .mvau(random_ints({12, 64}, -3, 3), 0, false, false, 2)
                    .done(),
                3, false);
  }
}

TEST(Program, PoolsOfEveryForm) {
  const std::map<std::string, Attr, std::less<>> window{{"kernel", Shape{2, 2}},
                                                        {"stride", Shape{2, 2}}};
  for (const char* function : {"max", "min", "sum"}) {
    auto attr = window;
    attr["function"] = std::string(function);
    for (const int64_t levels : {1, 2, 9}) {
      Net net(integer_type(8, false, {1, 6, 6, 70}));
      net.threshold(levels).then("pool", attr);
      const auto w = random_ints({5, 70}, -1, 1);
      expect_twin(net.mvau(w, 0).done(), 3);
    }
    Net wide(integer_type(20, true, {1, 4, 4, 3}));
    expect_twin(wide.then("pool", attr).done(), 3);
  }
}

TEST(Program, DepthwiseWindows) {
  for (const int64_t channels : {1, 16, 37}) {
    for (const int64_t weight : {7, 127}) {
      Net net(integer_type(8, false, {1, 7, 7, channels}));
      expect_twin(net.then("vvau", {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}},
                           {{"w", random_ints({channels, 9}, -weight, weight)},
                            {"t", thresholds(channels, 15, -2000, 2000, true)}})
                      .done(),
                  3);
    }
  }
}

TEST(Program, MovesOfEveryForm) {
  using Attrs = std::map<std::string, Attr, std::less<>>;
  const std::vector<std::pair<const char*, Attrs>> moves = {
      {"upsample", {{"scale", Shape{1, 2, 3, 1}}}},
      {"crop", {{"begin", Shape{0, 1, 0, 0}}, {"end", Shape{1, 4, 3, 64}}}},
      {"crop", {{"begin", Shape{0, 1, 0, 3}}, {"end", Shape{1, 4, 3, 64}}}},
      {"pad_stream", {{"pad", Shape{0, 1, 0, 0, 0, 0, 2, 0}}, {"pad_value", int64_t{1}}}},
      {"pad_stream", {{"pad", Shape{0, 0, 0, 2, 0, 0, 0, 1}}, {"pad_value", int64_t{-2}}}}};
  for (const auto& [op, attr] : moves) {
    for (const int64_t levels : {1, 2, 9, 0}) {
      Net net(integer_type(levels == 0 ? 20 : 8, true, {1, 5, 4, 64}));
      if (levels > 0) net.threshold(levels);
      net.then(op, attr);
      if (levels > 0) net.mvau(random_ints({5, net.at.type().shape.back()}, -1, 1), 0);
      expect_twin(net.done(), 3);
    }
  }
}

TEST(Program, PartsOfOneAxis) {
  for (const int64_t width : {3, 64}) {
    for (const int64_t levels : {1, 2, 9}) {
      Net net(integer_type(8, true, {2, 3, 2 * width}));
      net.threshold(levels);
      Node& split = net.graph.add(require_op("split_stream"), {net.at}, "split",
                                  {{"axis", int64_t{2}}, {"sizes", Shape{width, width}}});
      net.at = {&net.graph.add(require_op("concat_streams"), {{&split, 1}, {&split, 0}, net.at},
                               "c", {{"axis", int64_t{2}}}),
                0};
      expect_twin(net.mvau(random_ints({5, 4 * width}, -1, 1), 0).done(), 3);
    }
  }
}

TEST(Program, ThresholdsOnWords) {
  for (const int64_t channels : {1, 16, 37, 70}) {
    for (const int64_t levels : {1, 2, 15, 255}) {
      for (const bool even : {false, true}) {
        Net net(integer_type(16, true, {3, channels}));
        net.then("threshold", {}, {{"t", thresholds(channels, levels, -20000, 20000, even)}});
        expect_twin(net.mvau(random_ints({4, channels}, -1, 1), 0).done(), 5);
      }
    }
  }
}

TEST(Program, Labels) {
  for (const int64_t bits : {3, 12, 40}) {
    for (const int64_t k : {1, 3, 10}) {
      Net net(integer_type(static_cast<int>(bits), true, {4, 10}));
      expect_twin(net.then("label_select", {{"k", k}}).done());
    }
  }
}

TEST(Program, BranchesMeet) {
  Net net(integer_type(4, false, {1, 5, 5, 16}));
  net.mvau(random_ints({16, 16}, -7, 7), 15, true);
  const Value left = net.at;
  net.mvau(random_ints({16, 16}, -7, 7), 15, true);
  const Value right = net.at;
  net.at = {&net.graph.add(require_op("eltwise"), {left, right}, "sum", {{"function", "add"}}), 0};
  expect_twin(net.threshold(15).mvau(bipolar({3, 16}), 0).done());
}

TEST(Program, ThreadsShareFramesAndSteps) {
  Net net(integer_type(8, false, {1, 20, 20, 32}));
  const Graph graph =
      net.then("sliding_window", {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}})
          .mvau(random_ints({64, 288}, -7, 7), 15, true)
          .done();
  const Program program(graph, {});
  const Evaluator meaning(graph);
  const int cores = Crew().size();
  for (const int64_t frames : {1, 2, 5}) {
    std::vector<std::vector<Tensor>> operands;
    for (int64_t f = 0; f < frames; ++f) {
      operands.push_back(
          {make_ints(graph.nodes.front().out[0], random_ints({1, 20, 20, 32}, 0, 255).ints)});
    }
    for (int threads = 1; threads <= cores; ++threads) {
      const std::vector<Tensor> results = run_all(program, operands, threads);
      for (int64_t f = 0; f < frames; ++f) ASSERT_EQ(results[f], meaning.run(operands[f])[0]);
    }
  }
}

TEST(Program, FloatsAtTheEdgesAsTheMeaningHasThem) {
  const std::string text = R"(foldstream 1
graph "g"
%0 "x" = input {shape=[2, 6], type="f32"} : f32[2,6]
%1 "k" = constant (value=@0) : f32[]
%2 "scaled" = mul %0, %1 : f32[2,6]
%3 "codes" = quantize %2 {bits=8, rounding="HALF_UP", signed=1} (scale=@1, zero=@2) : s8[2,6]
%4 "y" = dequantize %3 {axis=1} (bias=@3, scale=@4) : f32[2,6]
output "y" %4
@0 = f32[] 1.5
@1 = f32[1] 0.0078125
@2 = f32[1] 0.0
@3 = f64[6] 0.5 1.0 2.0 3.0 4.0 5.0
@4 = f64[6] 0.1 0.2 0.3 0.4 0.5 0.7
)";
  const Graph graph = parse(text);
  const Evaluator meaning(graph);
  std::vector<std::vector<Tensor>> operands;
  const std::vector<float> corners = {0.0F,     -0.0F,     1.0F, -1.0F,       1e30F,        -1e30F,
                                      INFINITY, -INFINITY, NAN,  0.00390625F, -0.00390625F, 1e-40F};
  for (int f = 0; f < 200; ++f) {
    std::vector<double> values;
    for (int i = 0; i < 12; ++i) {
      // Ties of the rounding, their neighbours, and corners.
      const float tie = (static_cast<float>(draw(-140, 140)) + 0.5F) * 0.0078125F / 1.5F;
      values.push_back(f == 0       ? corners[i]
                       : f % 3 == 0 ? tie
                       : f % 3 == 1 ? std::nextafter(tie, 1e9F)
                                    : static_cast<float>(draw(-2000, 2000)) / 1000);
    }
    operands.push_back({make_floats({2, 6}, values)});
  }
  for (const std::string& level : kernel::levels()) {
    const Program program(graph, {.level = level});
    const std::vector<Tensor> results = run_all(program, operands, 1);
    for (size_t f = 0; f < operands.size(); ++f) {
      ASSERT_EQ(results[f], meaning.run(operands[f])[0]) << "frame " << f << " at " << level;
    }
  }
}

struct FloatConvolution {
  Shape operand, weights;
  NodeAttributes attr;
};

// Floats of many sizes, so that the order of a sum is seen in it.
Tensor random_floats(const Shape& shape) {
  std::vector<double> values(element_count(shape));
  for (double& value : values) {
    value = static_cast<float>(std::ldexp(draw(-1000, 1000), static_cast<int>(draw(-30, 10))));
  }
  return make_floats(shape, values);
}

// Frames at once and one alone, whose steps are shared out.
void expect_kernels_of_floats(const Graph& graph,
                              const std::vector<std::vector<Tensor>>& operands) {
  const Evaluator meaning(graph);
  const Program program(graph, {});
  for (const StepInfo& step : program.steps()) EXPECT_TRUE(step.is_kernel) << step.node;
  for (const auto& frames : {operands, {operands[1]}}) {
    const std::vector<Tensor> results = run_all(program, frames, 2);
    for (size_t f = 0; f < frames.size(); ++f) {
      ASSERT_EQ(results[f], meaning.run(frames[f])[0]) << f << " of\n"
                                                       << print(graph).substr(0, 500);
    }
  }
}

// The sum of each window by its definition: in double, in the order of the weights, rounded once.
Tensor convolved(const Tensor& x, const Tensor& w, const Node& node) {
  const auto at = [&](const char* key, size_t i, int64_t absent) {
    const Shape values = node.integers(key, {});
    return values.empty() ? absent : values[i];
  };
  const size_t axes = x.type.shape.size() - 2, last = axes - 1;
  const auto of = [&](const Shape& shape, size_t axis) {
    return axis == 0 && axes == 1 ? 1 : shape[shape.size() - 2 + axis];
  };
  Tensor y = make_zero(node.out[0]);
  const int64_t groups = node.integer("groups", 1), rows = y.type.shape[1];
  const int64_t channels = w.type.shape[1];
  int64_t i = 0;
  for (int64_t image = 0; image < x.type.shape[0]; ++image) {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t oh = 0; oh < of(y.type.shape, 0); ++oh) {
        for (int64_t ow = 0; ow < of(y.type.shape, 1); ++ow, ++i) {
          double sum = 0;
          int64_t weight = row * channels * of(w.type.shape, 0) * of(w.type.shape, 1);
          for (int64_t c = 0; c < channels; ++c) {
            const int64_t plane = image * x.type.shape[1] + row / (rows / groups) * channels + c;
            for (int64_t kh = 0; kh < of(w.type.shape, 0); ++kh) {
              for (int64_t kw = 0; kw < of(w.type.shape, 1); ++kw, ++weight) {
                const int64_t h = axes == 1 ? 0
                                            : oh * at("stride", 0, 1) - at("pad", 0, 0) +
                                                  kh * at("dilation", 0, 1);
                const int64_t v =
                    ow * at("stride", last, 1) - at("pad", last, 0) + kw * at("dilation", last, 1);
                const int64_t height = of(x.type.shape, 0), width = of(x.type.shape, 1);
                if (h < 0 || h >= height || v < 0 || v >= width) continue;
                sum += w.reals[weight] * x.reals[(plane * height + h) * width + v];
              }
            }
          }
          y.reals[i] = static_cast<float>(sum);
        }
      }
    }
  }
  return y;
}

TEST(Program, ConvolutionsAndNormalizationsOfFloats) {
  const std::vector<FloatConvolution> cases = {
      {{1, 3, 30, 41}, {18, 3, 3, 3}, {{"stride", Shape{2, 2}}, {"pad", Shape{1, 1, 1, 1}}}},
      {{2, 8, 9, 20}, {12, 4, 3, 5}, {{"groups", int64_t{2}}, {"dilation", Shape{2, 1}}}},
      {{1, 70, 5, 5}, {3, 70, 3, 3}, {{"pad", Shape{2, 0, 1, 2}}}},
      {{3, 6, 50}, {5, 6, 7}, {{"stride", Shape{3}}, {"pad", Shape{6, 2}}}},
      {{1, 5, 1, 1}, {9, 5, 1, 1}, {}},
  };
  for (const FloatConvolution& c : cases) {
    const Tensor w = random_floats(c.weights);
    const Shape rows = {c.weights[0]};
    Net net(float_type(c.operand));
    const Node& conv = *net.by("conv", w, c.attr).at.node;
    const Graph graph = net.then("batch_normalization", {},
                                 {{"scale", random_floats(rows)},
                                  {"bias", random_floats(rows)},
                                  {"mean", random_floats(rows)},
                                  {"var", make_floats(rows, std::vector<double>(rows[0], 0.3F))}})
                            .done();
    std::vector<std::vector<Tensor>> operands;
    for (int f = 0; f < 3; ++f) operands.push_back({random_floats(c.operand)});
    for (const std::vector<Tensor>& operand : operands) {
      const std::vector<const Tensor*> in = {&operand[0], &w};
      ASSERT_EQ(evaluate_node(conv, in)[0], convolved(operand[0], w, conv));
    }
    expect_kernels_of_floats(graph, operands);
  }
}

// What a product of matrices adds up: four products by pairs, then what is left one by one.
Tensor multiplied(const Tensor& x, const Tensor& w, const Type& result) {
  const int64_t inner = w.type.shape[0], columns = w.count() / inner;
  Tensor y = make_zero(result);
  for (int64_t i = 0; i < y.count(); ++i) {
    const double* row = x.reals.data() + i / columns * inner;
    const auto product = [&](int64_t k) { return row[k] * w.reals[k * columns + i % columns]; };
    double sum = 0;
    int64_t k = 0;
    for (; k + 4 <= inner; k += 4) {
      sum += (product(k) + product(k + 1)) + (product(k + 2) + product(k + 3));
    }
    for (; k < inner; ++k) sum += product(k);
    y.reals[i] = static_cast<float>(sum);
  }
  return y;
}

TEST(Program, ProductsOfMatricesOfFloats) {
  const std::vector<std::pair<Shape, Shape>> cases = {{{1, 593}, {593, 64}},
                                                      {{13, 37}, {37, 21}},
                                                      {{2, 3, 16}, {16, 9}},
                                                      {{5, 6}, {6}},
                                                      {{7}, {7, 3}}};
  for (const auto& [operand, weights] : cases) {
    const Tensor w = random_floats(weights);
    Net net(float_type(operand));
    const Node& product = *net.by("matmul", w).at.node;
    const Graph graph = net.done();
    std::vector<std::vector<Tensor>> operands;
    for (int f = 0; f < 11; ++f) operands.push_back({random_floats(operand)});
    for (const std::vector<Tensor>& some : operands) {
      const std::vector<const Tensor*> in = {&some[0], &w};
      ASSERT_EQ(evaluate_node(product, in)[0], multiplied(some[0], w, product.out[0]));
    }
    expect_kernels_of_floats(graph, operands);
  }
}

TEST(Program, FunctionsOfOneFloat) {
  for (const char* op : {"abs", "erf", "relu", "sigmoid", "sign", "softplus", "tanh"}) {
    const Graph graph = Net(float_type({3, 7})).then(op).done();
    std::vector<std::vector<Tensor>> operands;
    for (int f = 0; f < 5; ++f) operands.push_back({random_floats({3, 7})});
    expect_kernels_of_floats(graph, operands);
  }
}

TEST(Program, BytesStandForFloats) {
  const std::string text = R"(foldstream 1
graph "g"
%0 "x" = input {shape=[1, 70], type="f32"} : f32[1,70]
%1 "k" = constant (value=@0) : f32[]
%2 "scaled" = sub %0, %1 : f32[1,70]
%3 "codes" = quantize %2 {bits=1, signed=0} (scale=@1, zero=@2) : u1[1,70]
%4 "y" = mvau %3 (w=@3) : s7[1,1]
output "y" %4
@0 = f32[] 0.25
@1 = f32[1] 0.5
@2 = f32[1] 0.0
@3 = s2[1,70] )";
  std::string weights;
  for (int i = 0; i < 70; ++i) weights += draw(0, 1) != 0 ? " 1" : " -1";
  const Graph graph = parse(text + weights + "\n");
  const Evaluator meaning(graph);
  std::vector<uint8_t> bytes(70 * 8);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(draw(0, 255));
  for (const std::string& level : kernel::levels()) {
    const Program program(graph, {.level = level, .byte_scale = 255});
    std::vector<std::byte> out(8 * program.outputs()[0].storage.bytes());
    Crew crew(1);
    program.run({bytes.data()}, {out.data()}, 8, crew);
    for (int64_t f = 0; f < 8; ++f) {
      std::vector<double> values;
      for (int i = 0; i < 70; ++i) values.push_back(static_cast<float>(bytes[f * 70 + i]) / 255.0F);
      const Tensor expected = meaning.run(std::vector<Tensor>{make_floats({1, 70}, values)})[0];
      EXPECT_EQ(reinterpret_cast<const int32_t*>(out.data())[f], expected.ints[0]) << level;
    }
  }
}

TEST(Program, PlanesOfBytesBecomeVectors) {
  for (const int64_t planes : {1, 2, 3, 4, 5}) {
    const Graph graph = parse(fmt::format(R"(foldstream 1
graph "g"
%0 "x" = input {{shape=[{0}, 11, 13], type="f32"}} : f32[{0},11,13]
%1 "last" = transpose %0 {{perm=[1, 2, 0]}} : f32[11,13,{0}]
%2 "codes" = quantize %1 {{bits=5, signed=1}} (scale=@0, zero=@1) : s5[11,13,{0}]
output "y" %2
@0 = f32[1] 7.5
@1 = f32[1] 0.0
)",
                                          planes));
    const Evaluator meaning(graph);
    const int64_t count = planes * 11 * 13;
    std::vector<uint8_t> bytes(2 * count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(draw(0, 255));
    for (const std::string& level : kernel::levels()) {
      const Program program(graph, {.level = level, .byte_scale = 1});
      std::vector<std::byte> out(2 * program.outputs()[0].storage.bytes());
      Crew crew(1);
      program.run({bytes.data()}, {out.data()}, 2, crew);
      for (int64_t f = 0; f < 2; ++f) {
        const auto* first = bytes.data() + f * count;
        const Tensor expected = meaning.run(
            std::vector<Tensor>{make_floats({planes, 11, 13}, {first, first + count})})[0];
        Tensor found = make_zero(expected.type);
        const Storage& storage = program.outputs()[0].storage;
        kernel::load(storage, out.data() + f * storage.bytes(), found);
        ASSERT_EQ(found, expected) << planes << " planes at " << level;
      }
    }
  }
}

TEST(Program, SaysWhichLevelIsMissing) {
  Net net(integer_type(1, false, {1, 8}));
  const Graph graph = net.mvau(bipolar({1, 8}), 0).done();
  try {
    Program(graph, {.level = "AVX9"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("instruction set level 'AVX9' is not among"), 0U);
  }
}

TEST(Crew, RefusesMoreThreadsThanCores) {
  EXPECT_THROW(Crew(100000), Error);
  EXPECT_THROW(Crew(-1), Error);
}

TEST(Crew, PassesOnWhatAMemberThrows) {
  Crew crew;
  EXPECT_THROW(crew.run([&](int member) {
    if (member == crew.size() - 1) throw Error("member failed");
  }),
               Error);
  std::atomic<int> ran = 0;
  crew.run([&](int) { ++ran; });
  EXPECT_EQ(ran, crew.size());
}

}  // namespace
}  // namespace foldstream::exec
