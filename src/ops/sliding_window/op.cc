// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/kernel.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/rtl/block.h"
#include "src/util/error.h"
#include "src/window/geometry.h"
#include "src/window/walk.h"

namespace foldstream {
namespace {

using window::Geometry;
using window::WalkShape;

int64_t groups(const Node& node, const Geometry& g) {
  const int64_t value = node.integer("groups", 1);
  if (value < 1 || g.channels % value != 0) {
    throw Error(fmt::format("groups = {} of {} channels", value, g.channels),
                "groups have the same number of channels");
  }
  return value;
}

std::vector<Type> infer(const Node& node) {
  const Geometry g(node);
  groups(node, g);
  Type type = g.element;
  type.shape = g.result(g.taps() * g.channels);
  if (!checked_element_count(type.shape)) {
    throw Error(fmt::format("windows of shape {}", to_string(type.shape)), "use a larger stride");
  }
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Geometry g(node);
  const int64_t count = groups(node, g), width = g.channels / count, taps = g.taps();
  Tensor out = make_zero(node.out[0]);
  if (g.pad_value != 0) std::fill(out.ints.begin(), out.ints.end(), g.pad_value);
  window::for_each_tap(g, [&](int64_t window, int64_t tap, int64_t offset) {
    for (int64_t group = 0; group < count; ++group) {
      std::copy_n(in[0]->ints.begin() + offset + group * width, width,
                  out.ints.begin() + ((window * count + group) * taps + tap) * width);
    }
  });
  return {std::move(out)};
}

// A slice of the padded operand for every tap, side by side.
void to_onnx(const Node& node, OnnxSink& sink) {
  const Geometry g(node);
  const int64_t count = groups(node, g);
  const std::string padded = window::pad_onnx(g, sink);
  const auto element = [&](Shape shape) {
    Type type = g.element;
    type.shape = std::move(shape);
    return type;
  };
  const auto indices = [&](std::vector<int64_t> values, const char* hint) {
    const auto size = static_cast<int64_t>(values.size());
    return sink.index_constant(make_ints(Shape{size}, std::move(values)), hint);
  };
  const auto of_axes = [&](int64_t height, int64_t width) {
    return g.one_axis ? std::vector{width} : std::vector{height, width};
  };
  const std::string axes =
      indices(g.one_axis ? std::vector<int64_t>{1} : std::vector<int64_t>{1, 2}, "axes");
  const std::string steps = indices(of_axes(g.rows.stride, g.columns.stride), "steps");
  const Shape tap_shape = g.result(g.channels);
  Shape grouped = g.result(count);
  grouped.push_back(1), grouped.push_back(g.channels / count);
  std::vector<std::string> taps;
  for (int64_t kh = 0; kh < g.rows.kernel; ++kh) {
    for (int64_t kw = 0; kw < g.columns.kernel; ++kw) {
      const int64_t top = kh * g.rows.dilation, left = kw * g.columns.dilation;
      const int64_t bottom = top + (g.rows.windows() - 1) * g.rows.stride + 1;
      const int64_t right = left + (g.columns.windows() - 1) * g.columns.stride + 1;
      std::string tap = sink.temporary("tap", element(tap_shape));
      sink.node("", "Slice",
                {padded, indices(of_axes(top, left), "starts"),
                 indices(of_axes(bottom, right), "ends"), axes, steps},
                {tap});
      if (count > 1) {
        const std::string split = sink.temporary("groups", element(grouped));
        sink.node("", "Reshape", {tap, indices(grouped, "shape")}, {split});
        tap = split;
      }
      taps.push_back(std::move(tap));
    }
  }
  if (count == 1) {
    sink.node("", "Concat", taps, {sink.output(0)}, {{"axis", int64_t{-1}}});
    return;
  }
  grouped[grouped.size() - 2] = g.taps();
  const std::string windows = sink.temporary("windows", element(grouped));
  sink.node("", "Concat", taps, {windows}, {{"axis", int64_t{-2}}});
  sink.node("", "Reshape", {windows, indices(node.out[0].shape, "shape")}, {sink.output(0)});
}

// One beat a step, or whole windows: as many elements as a window has in a beat.
struct Folding {
  explicit Folding(const Node& node) : g(node) {
    const int64_t group_channels = g.channels / groups(node, g), simd = node.integer("simd", 1);
    const auto columns = window::columns_shape(g);
    legal = divisors(group_channels);
    const int64_t window = g.taps() * g.channels;
    if (columns && group_channels == g.channels && g.padding_fits() && g.taps() > 1) {
      legal.push_back(window);
    }
    if (std::find(legal.begin(), legal.end(), simd) == legal.end()) {
      throw Error(fmt::format("{}: simd = {} of {} channels of a group", describe(node), simd,
                              group_channels),
                  fmt::format("legal values are {}", fmt::join(legal, ", ")));
    }
    whole = group_channels % simd != 0;
    lanes_in = whole ? g.channels : simd, lanes_out = simd;
    walk =
        window::find_walk(whole ? *columns
                                : WalkShape{g.rows, g.columns, g.channels / simd, groups(node, g),
                                            true, simd * int64_t{g.operand.bits}});
  }
  int64_t latency() const {
    return whole ? window::window_latency(*walk) : window::memory_latency(*walk);
  }

  Geometry g;
  std::vector<int64_t> legal;
  bool whole = false;
  int64_t lanes_in = 1, lanes_out = 1;
  std::shared_ptr<const window::Walk> walk;
};

std::vector<Fold> folds(const Node& node) {
  Node plain = node;
  plain.attr.erase("simd");
  return {{"simd", Folding(plain).legal}};
}

Ports ports(const Node& node) {
  const Folding folding(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{folding.lanes_in, in.bits, in.count() / folding.lanes_in}},
          .out = {{folding.lanes_out, out.bits, out.count() / folding.lanes_out}}};
}

Rhythm rhythm(const Node& node, Family) {
  const Folding folding(node);
  Rhythm rhythm{.frame = repeated(folding.walk->frame, folding.g.images)};
  rhythm.store = folding.walk->store(folding.g.images);
  finish_rhythm(node, folding.latency(), 1, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Folding folding(node);
  const Stream out = ports(node).out[0];
  Cost cost = queue_cost(rhythm(node, family), out.width());
  if (folding.whole) {
    cost += window::column_walk_cost(*folding.walk, folding.g);
  } else {
    cost += window::walk_cost(*folding.walk);
    if (folding.g.padded()) cost.lut += static_cast<double>(out.width());
  }
  cost.ff += static_cast<double>(folding.latency() * (folding.g.padded() ? 2 : 1));
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Folding folding(node);
  const Geometry& g = folding.g;
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  SvModule module(
      instance,
      fmt::format("Sliding window: {} x {} over {} x {} of {} channels, {} at once.", g.rows.kernel,
                  g.columns.kernel, g.rows.size, g.columns.size, g.channels, out.lanes),
      fmt::format("Latency {}, {} steps a frame, ring of {}, queue of {}.", steps.depth,
                  steps.steps(), folding.walk->places * folding.walk->unit, steps.queue));
  add_block_ports(module, in.width(), out.width());
  std::string data;
  if (folding.whole) {
    data = window::add_column_walk(module, *folding.walk, g);
  } else {
    data = window::add_walk(module, *folding.walk);
    if (g.padded()) {
      data = window::add_padding(module, g, in.lanes, data,
                                 delayed_data(module, "in_frame", 1, folding.latency()));
    }
  }
  const std::string push = delayed_control(module, "give", folding.latency());
  add_output_queue(module, steps, out.width(), "give", push, data);
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

namespace {
const Kernels kernels{.gives_windows = true};
}

extern const Op op_sliding_window;
const Op op_sliding_window{.name = "sliding_window",
                           .doc = "the elements under each position of a kernel, padding included",
                           .kind = Op::Kind::hardware,
                           .to_onnx = to_onnx,
                           .infer = infer,
                           .eval = eval,
                           .folds = folds,
                           .ports = ports,
                           .rhythm = rhythm,
                           .cost = cost,
                           .emit = emit,
                           .finn_name = "ConvolutionInputGenerator",
                           .kernels = &kernels};

}  // namespace foldstream
