// SPDX-License-Identifier: Apache-2.0
#include "src/passes/group_pixels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/ir/verify.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

using Attributes = std::map<std::string, Attr, std::less<>>;
using Data = std::map<std::string, Tensor, std::less<>>;

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}
  int64_t operator()(int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random_);
  }
  bool chance() { return (*this)(0, 1) == 1; }
  Tensor tensor(const Type& type) {
    Tensor tensor = make_zero(type);
    for (int64_t& value : tensor.ints) value = (*this)(type.min(), type.max());
    return tensor;
  }

 private:
  std::mt19937 random_;
};

// Thresholds of each row, or one row for all, and flips of some.
void add_thresholds(Draw& draw, int64_t rows, Data& data) {
  const int64_t levels = draw(0, 3) > 0 ? draw(1, 3) : draw(7, 12), of = draw.chance() ? rows : 1;
  std::vector<int64_t> values;
  for (int64_t row = 0; row < of; ++row) {
    std::set<int64_t> ascending;
    while (static_cast<int64_t>(ascending.size()) < levels) ascending.insert(draw(-9, 9));
    values.insert(values.end(), ascending.begin(), ascending.end());
  }
  data["t"] = make_ints(Shape{of, levels}, std::move(values));
  if (draw.chance()) data["flip"] = draw.tensor(integer_type(1, false, {of}));
}

struct Window {
  Attributes attr;
  bool fits = false;
};

// Along the last two axes but one, or along one.
Window window(Draw& draw, const Shape& in, bool dilates) {
  const size_t axes = in.size() - 2;
  std::vector<int64_t> kernel, stride, dilation, before, after;
  for (size_t axis = 0; axis < axes; ++axis) {
    kernel.push_back(draw(1, 5)), stride.push_back(draw(1, std::min<int64_t>(3, kernel.back())));
    dilation.push_back(dilates ? draw(1, 2) : 1);
    const int64_t reach = (kernel.back() - 1) * dilation.back() + 1;
    before.push_back(draw(0, reach / 2)), after.push_back(draw(0, reach / 2));
    if (in[axis + 1] < reach) return {};
  }
  before.insert(before.end(), after.begin(), after.end());
  Window window{{{"kernel", kernel}, {"stride", stride}, {"pad", before}}, true};
  if (dilates) window.attr["dilation"] = dilation;
  return window;
}

// One to three layers on a small frame.
Graph network(Draw& draw) {
  Graph graph;
  graph.name = "net";
  Shape shape{draw(1, 2), draw(1, 6), draw(1, 12), draw(1, 3)};
  if (draw(0, 4) == 0) shape.erase(shape.begin() + 1);
  const Type type = integer_type(static_cast<int>(draw(1, 3)), draw.chance(), shape);
  Node& input =
      graph.add(require_op("input"), {}, "x", {{"type", element_name(type)}, {"shape", shape}});
  Value value{&input, 0};
  const int64_t layers = draw(1, 3);
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string name = "layer" + std::to_string(layer);
    const Type in = value.type();
    const int64_t channels = in.shape.back();
    const int64_t kind = draw(0, 5);
    Data data;
    Attributes attr;
    if (kind <= 1) {  // a convolution
      Window under = window(draw, in.shape, draw.chance());
      if (!under.fits) continue;
      if (draw.chance()) under.attr["pad_value"] = draw(in.min(), in.max());
      const int64_t groups = draw(0, 2) == 0 ? channels : 1, rows = groups * draw(1, 2);
      if (groups > 1) under.attr["groups"] = attr["groups"] = groups;
      value = {&graph.add(require_op("sliding_window"), {value}, name + "_window", under.attr), 0};
      const int64_t columns = value.type().shape.back() / groups;
      data["w"] = draw.tensor(integer_type(2, true, {rows, columns}));
      if (draw.chance()) {
        for (int64_t& weight : data["w"].ints) weight = weight < 0 ? -1 : 1;
      }
      if (draw.chance()) add_thresholds(draw, rows, data);
      value = {&graph.add(require_op("mvau"), {value}, name, attr, data), 0};
    } else if (kind == 2) {  // over pixels
      data["w"] = draw.tensor(integer_type(3, true, {draw(1, 3), channels}));
      if (draw.chance()) add_thresholds(draw, data["w"].type.shape[0], data);
      value = {&graph.add(require_op("mvau"), {value}, name, attr, data), 0};
    } else if (kind == 3) {  // depthwise
      Window under = window(draw, in.shape, draw.chance());
      if (!under.fits) continue;
      const std::vector<int64_t> kernel = std::get<std::vector<int64_t>>(under.attr["kernel"]);
      int64_t taps = 1;
      for (const int64_t extent : kernel) taps *= extent;
      data["w"] = draw.tensor(integer_type(2, true, {channels, taps}));
      if (draw.chance()) add_thresholds(draw, channels, data);
      value = {&graph.add(require_op("vvau"), {value}, name, under.attr, data), 0};
    } else if (kind == 4) {
      Window under = window(draw, in.shape, false);
      if (!under.fits) continue;
      if (draw.chance()) under.attr["stride"] = under.attr["kernel"];
      const char* const functions[] = {"max", "min", "sum"};
      under.attr["function"] = std::string(functions[draw(0, 2)]);
      std::vector<int64_t> pad = std::get<std::vector<int64_t>>(under.attr["pad"]);
      if (draw.chance()) pad[pad.size() / 2 - 1] = pad.back() = 0;
      under.attr["pad"] = pad;
      if (draw.chance()) under.attr["pad_value"] = draw(-2, 2);
      Node pool{&require_op("pool"), {value}, under.attr, {}, {}, name};
      try {
        infer_node(pool);
      } catch (const Error&) {
        continue;
      }
      value = {&graph.add(*pool.op, {value}, name, under.attr), 0};
    } else if (draw.chance()) {
      data["c"] = draw.tensor(integer_type(3, true, {draw.chance() ? channels : 1}));
      value = {&graph.add(require_op("add_constant"), {value}, name, {}, data), 0};
    } else {
      attr["function"] = std::string("add");
      data["factors"] = draw.tensor(integer_type(2, true, {2, channels}));
      value = {&graph.add(require_op("eltwise"), {value, value}, name, attr, data), 0};
    }
  }
  graph.outputs.push_back({"y", value});
  run_pass(*find_pass("scale_thresholds"), graph);
  return graph;
}

std::vector<Tensor> run(const Graph& graph, const Tensor& frame) {
  return Evaluator(graph).run(std::vector<Tensor>{frame});
}

int64_t fewest_steps(const Graph& graph) {
  int64_t most = 0;
  for (const Node& node : graph.nodes) {
    if (node.op->kind != Op::Kind::hardware) continue;
    int64_t least = INT64_MAX;
    Node folded = node;
    const std::vector<Fold> folds = node.op->folds(node);
    const std::vector<int64_t> first =
        folds.empty() ? std::vector<int64_t>{1} : folds.front().legal;
    const std::vector<int64_t> second = folds.size() < 2 ? std::vector<int64_t>{1} : folds[1].legal;
    for (const int64_t a : first) {
      for (const int64_t b : second) {
        if (!folds.empty()) folded.attr[folds.front().attr] = a;
        if (folds.size() > 1) folded.attr[folds[1].attr] = b;
        least = std::min(least, node.op->rhythm(folded, Family::xilinx).steps());
      }
    }
    most = std::max(most, least);
  }
  return most;
}

// Whatever is asked for is either refused or gives the same integers in the same types.
TEST(GroupPixels, RewrittenNetworksComputeTheSame) {
  Draw draw(1);
  int rewritten = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const Graph before = network(draw);
    Graph after = before.clone();
    bool changed = false;
    for (const Node& node : before.nodes) {
      try {
        group_pixels(after, node.name, {draw(1, 6), draw(1, 6)});
        changed = true, ++rewritten;
      } catch (const Error&) {
        ++refused;
      }
    }
    if (!changed) continue;
    verify(after);
    ASSERT_EQ(after.outputs[0].value.type(), before.outputs[0].value.type());
    const Tensor frame = draw.tensor(before.nodes.front().out[0]);
    ASSERT_EQ(run(after, frame), run(before, frame)) << "network " << i;
  }
  EXPECT_GT(rewritten, 200);
  EXPECT_GT(refused, 200);
}

TEST(GroupPixels, FewerCyclesAndTheSameResults) {
  Draw draw(2);
  int faster = 0, reached = 0;
  for (int i = 0; i < 1000; ++i) {
    const Graph before = network(draw);
    const int64_t least = fewest_steps(before), cycles = std::max<int64_t>(1, least / draw(2, 5));
    Graph after = before.clone();
    const bool changed = group_pixels(after, cycles, Family::xilinx);
    if (!changed) continue;
    verify(after);
    const int64_t now = fewest_steps(after);
    EXPECT_LE(now, least);
    faster += now < least, reached += now <= cycles;
    const Tensor frame = draw.tensor(before.nodes.front().out[0]);
    ASSERT_EQ(run(after, frame), run(before, frame)) << "network " << i;
  }
  EXPECT_GT(faster, 100);
  EXPECT_GT(reached, 50);
}

Graph small_network() {
  Draw draw(3);
  Graph graph;
  graph.name = "net";
  Node& input = graph.add(require_op("input"), {}, "x",
                          {{"type", std::string("u2")}, {"shape", Shape{1, 8, 8, 2}}});
  Node& window = graph.add(require_op("sliding_window"), {{&input, 0}}, "window",
                           {{"kernel", Shape{3, 3}}, {"pad", Shape{1, 1, 1, 1}}});
  Node& conv = graph.add(require_op("mvau"), {{&window, 0}}, "conv", {},
                         {{"w", draw.tensor(integer_type(2, true, {4, 18}))}});
  graph.outputs.push_back({"y", {&conv, 0}});
  return graph;
}

// 8 rows of 8 pixels, and one column more where a kernel reaches into the padding on the right.
TEST(GroupPixels, TakesTheFewestPixelsThatReachTheCycles) {
  const auto pixels = [](int64_t cycles) {
    Graph graph = small_network();
    group_pixels(graph, cycles, Family::xilinx);
    return graph.outputs[0].value.node->op->name == "reshape"
               ? graph.outputs[0].value.node->in[0].node->integers("pixels", {})
               : std::vector<int64_t>{};
  };
  EXPECT_EQ(pixels(72), std::vector<int64_t>{});
  EXPECT_EQ(pixels(71), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(pixels(40), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(pixels(39), (std::vector<int64_t>{4, 4}));
  EXPECT_EQ(pixels(8), (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(pixels(1), (std::vector<int64_t>{8, 8}));
}

TEST(GroupPixels, RefusesWhatDoesNotDivide) {
  Graph graph = small_network();
  EXPECT_THROW(group_pixels(graph, "conv", {3, 3}), Error);
  EXPECT_THROW(group_pixels(graph, "conv", {4, 2}), Error);
  EXPECT_THROW(group_pixels(graph, "conv", {0, 2}), Error);
  EXPECT_THROW(group_pixels(graph, "window", {2, 2}), Error);
  EXPECT_THROW(group_pixels(graph, "nobody", {2, 2}), Error);
  group_pixels(graph, "conv", {2, 4});
}

}  // namespace
}  // namespace foldstream
