// SPDX-License-Identifier: Apache-2.0
// Activations that turn: which hardware they become, and that its integers are the reference's.
#include "src/passes/streamline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/ir/eval.h"
#include "src/ir/op.h"

namespace foldstream {
namespace {

constexpr int64_t kChannels = 3;

struct Source {
  Graph graph;

  Value add(const char* op, std::vector<Value> in,
            std::map<std::string, Attr, std::less<>> attr = {},
            std::map<std::string, Tensor, std::less<>> data = {}) {
    const std::string name = op + std::to_string(graph.nodes.size());
    return {&graph.add(require_op(op), std::move(in), name, std::move(attr), std::move(data)), 0};
  }
  Value constant(const Shape& shape, std::vector<double> values) {
    return add("constant", {}, {}, {{"value", make_floats(shape, std::move(values))}});
  }
  Value number(double value) { return constant({}, {value}); }
  Value quant(Value x, int64_t bits, double scale) {
    return add("quant", {x},
               {{"bits", bits},
                {"signed", int64_t{1}},
                {"narrow", int64_t{0}},
                {"rounding", std::string("ROUND")}},
               {{"scale", make_floats({}, {scale})}, {"zero", make_floats({}, {0})}});
  }
};

using Curve = std::function<Value(Source&, Value)>;

// Five-bit integers, channel by channel turned over and moved, through the curve to four bits.
Graph network(const Curve& curve) {
  Source source;
  Value x =
      source.add("input", {}, {{"type", std::string("f32")}, {"shape", Shape{1, 2, kChannels}}});
  x = source.quant(x, 5, 0.25);
  x = source.add("mul", {x, source.constant({kChannels}, {1, -0.7, 0.3})});
  x = source.add("add", {x, source.constant({kChannels}, {0.1, 0.6, 8})});
  source.graph.outputs.push_back({"y", source.quant(curve(source, x), 4, 0.2)});
  return std::move(source.graph);
}

int64_t count(const Graph& graph, const std::string& op) {
  return std::ranges::count_if(graph.nodes, [&](const Node& node) { return node.op->name == op; });
}

// The function of the node that joins both sides of a turn; empty where there is none.
std::string joined_by(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op->name == "eltwise") return node.text("function", "");
  }
  return "";
}

void expect_equal_results(const Graph& source, const Graph& integers) {
  for (int64_t code = -16; code < 16; ++code) {
    const Tensor x = make_floats(
        {1, 2, kChannels}, std::vector<double>(2 * kChannels, 0.25 * static_cast<double>(code)));
    EXPECT_EQ(Evaluator(source).run(std::span(&x, 1))[0].reals,
              Evaluator(integers).run(std::span(&x, 1))[0].reals)
        << code;
  }
}

TEST(StreamlineTest, ActivationsThatTurnOnceAreTwoThresholdings) {
  const Curve silu = [](Source& s, Value x) { return s.add("mul", {x, s.add("sigmoid", {x})}); };
  const Curve square = [](Source& s, Value x) { return s.add("power", {x, s.number(2)}); };
  const Curve hill = [&](Source& s, Value x) {
    return s.add("sub", {s.number(1), s.add("abs", {x})});
  };
  const Curve parted = [](Source& s, Value x) {  // what both operands share is not all of them
    const Value shared = s.add("mul", {x, s.number(0.9)});
    return s.add("max", {s.add("tanh", {shared}), s.add("mul", {shared, s.number(-0.5)})});
  };
  for (const auto& [curve, function] : std::vector<std::pair<Curve, std::string>>{
           {silu, "max"}, {square, "max"}, {hill, "min"}, {parted, "max"}}) {
    const Graph source = network(curve);
    const Graph integers = streamline(source, {}).graph;
    EXPECT_EQ(joined_by(integers), function);
    EXPECT_EQ(count(integers, "threshold"), 2);
    expect_equal_results(source, integers);
  }
}

TEST(StreamlineTest, JoinedStepsThatOnlyRiseAreOneThresholding) {
  const Graph source = network([](Source& s, Value x) {
    return s.add("add", {x, s.add("relu", {x})});
  });
  const Graph integers = streamline(source, {}).graph;
  EXPECT_EQ(joined_by(integers), "");
  EXPECT_EQ(count(integers, "threshold"), 1);
  expect_equal_results(source, integers);
}

TEST(StreamlineTest, MoreTurnsAreRefusedWithTheReason) {
  const Curve twice = [](Source& s, Value x) {
    return s.add("abs", {s.add("sub", {s.add("abs", {x}), s.number(1)})});
  };
  const Curve unlike = [](Source& s, Value x) {
    return s.add("mul", {s.add("abs", {x}), s.constant({kChannels}, {1, -1, 1})});
  };
  const Curve joined = [&](Source& s, Value x) {
    return s.add("mul", {twice(s, x), s.add("sub", {x, s.number(0.5)})});
  };
  for (const Curve& curve : {twice, unlike, joined}) {
    const Graph source = network(curve);
    const Streamlined result = streamline(source, {});
    const auto found = std::ranges::find_if(
        result.findings, [](const Finding& finding) { return !finding.reason.empty(); });
    ASSERT_NE(found, result.findings.end());
    EXPECT_EQ(found->reason,
              "what it quantizes turns more than once with the integers before it, or up in some "
              "channels and down in others");
    expect_equal_results(source, result.graph);  // all the same, on the host
  }
}

}  // namespace
}  // namespace foldstream
