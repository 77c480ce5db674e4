// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
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

WalkShape walk_shape(const Node& node, const Geometry& g, int64_t simd) {
  const int64_t bits = node.in_type(0).bits;
  return {g.rows, g.columns, g.channels / simd, groups(node, g), true, simd * bits};
}

std::vector<Fold> folds(const Node& node) {
  const Geometry g(node);
  return {{"simd", divisors(g.channels / groups(node, g))}};
}

Ports ports(const Node& node) {
  const Geometry g(node);
  const int64_t simd = folding(node, "simd", g.channels / groups(node, g), "channels of a group");
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{simd, in.bits, in.count() / simd}},
          .out = {{simd, out.bits, out.count() / simd}}};
}

Rhythm rhythm(const Node& node, Family) {
  const Geometry g(node);
  const auto walk = window::find_walk(walk_shape(node, g, ports(node).in[0].lanes));
  Rhythm rhythm{.frame = window::repeated(walk->frame, g.images)};
  rhythm.store = walk->store(g.images);
  finish_rhythm(node, window::memory_latency(*walk), 1, rhythm);
  return rhythm;
}

Cost cost(const Node& node, Family family) {
  const Geometry g(node);
  const Ports streams = ports(node);
  const auto walk = window::find_walk(walk_shape(node, g, streams.in[0].lanes));
  Cost cost = queue_cost(rhythm(node, family), streams.out[0].width());
  cost += window::walk_cost(*walk);
  if (g.padded()) cost.lut += static_cast<double>(streams.out[0].width());
  return cost;
}

Hardware emit(const Node& node, Family family, const std::string& instance) {
  const Geometry g(node);
  const Stream in = ports(node).in[0], out = ports(node).out[0];
  const Rhythm steps = rhythm(node, family);
  const auto walk = window::find_walk(walk_shape(node, g, in.lanes));
  SvModule module(
      instance,
      fmt::format("Sliding window: {} x {} over {} x {} of {} channels, {} at once.", g.rows.kernel,
                  g.columns.kernel, g.rows.size, g.columns.size, g.channels, in.lanes),
      fmt::format("Latency {}, {} steps a frame, ring of {}, queue of {}.", steps.depth,
                  steps.steps(), walk->places * walk->unit, steps.queue));
  add_block_ports(module, in.width(), out.width());
  std::string data = window::add_walk(module, *walk);
  const std::string push = delayed_control(module, "issue", window::memory_latency(*walk));
  if (g.padded()) {
    data = window::add_padding(module, g, in.lanes, data,
                               delayed_data(module, "in_frame", 1, window::memory_latency(*walk)));
  }
  add_output_queue(module, steps, out.width(), "issue", push, data);
  Hardware hardware;
  add_top(module, hardware);
  return hardware;
}

}  // namespace

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
                           .finn_name = "ConvolutionInputGenerator"};

}  // namespace foldstream
