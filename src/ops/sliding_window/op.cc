// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"
#include "src/window/geometry.h"

namespace foldstream {
namespace {

using window::Geometry;

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

}  // namespace

extern const Op op_sliding_window;
const Op op_sliding_window{.name = "sliding_window",
                           .doc = "the elements under each position of a kernel, padding included",
                           .kind = Op::Kind::hardware,
                           .to_onnx = to_onnx,
                           .infer = infer,
                           .eval = eval,
                           .finn_name = "ConvolutionInputGenerator"};

}  // namespace foldstream
