// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/thresholds.h"
#include "src/util/error.h"
#include "src/window/geometry.h"

namespace foldstream {
namespace {

using window::Geometry;

struct Layer {
  explicit Layer(const Node& node);  // throws Error on an illegal node; folding is not looked at

  Geometry g;
  const Tensor* w;
  Type acc;  // of every channel's sum
  std::optional<Thresholds> thresholds;
  Type out;
};

Layer::Layer(const Node& node) : g(node), w(node.tensor("w")) {
  if (w == nullptr || w->type.is_float || w->type.shape != Shape{g.channels, g.taps()}) {
    throw Error(fmt::format("weights of {} for {} channels under {} x {}",
                            w == nullptr ? "no type" : to_string(w->type), g.channels,
                            g.rows.kernel, g.columns.kernel),
                fmt::format("expected integers 'w' of shape [{},{}]", g.channels, g.taps()));
  }
  if (w->type.bits > 16 || g.element.bits > 32) {
    throw Error(
        fmt::format("weights of {} bits and an operand of {}", w->type.bits, g.element.bits),
        "legal are weights of up to 16 bits and operands of up to 32");
  }
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  if (node.attr.contains("range")) {
    const std::vector<int64_t> bound = node.integers("range", {});
    if (bound.size() != 2 || bound[0] > bound[1]) throw Error("'range' must be [least, greatest]");
    lo = bound[0], hi = bound[1];
  } else {
    for (int64_t channel = 0; channel < g.channels; ++channel) {
      int64_t positive = 0, negative = 0;
      for (int64_t tap = 0; tap < g.taps(); ++tap) {
        const int64_t weight = w->ints[channel * g.taps() + tap];
        (weight > 0 ? positive : negative) += weight;
      }
      lo = std::min(lo, positive * g.element.min() + negative * g.element.max());
      hi = std::max(hi, positive * g.element.max() + negative * g.element.min());
    }
  }
  acc = type_for_range(lo, hi, g.result(g.channels));
  if (node.tensor("t") != nullptr) thresholds.emplace(node, g.channels);
  out = thresholds ? thresholds->result(acc.shape) : acc;
}

std::vector<Type> infer(const Node& node) { return {Layer(node).out}; }

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Layer layer(node);
  const int64_t channels = layer.g.channels, taps = layer.g.taps();
  // Tap by tap, so that the innermost loop runs over neighbours.
  std::vector<int64_t> weights(layer.w->ints.size());
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      weights[tap * channels + channel] = layer.w->ints[channel * taps + tap];
    }
  }
  Tensor out = make_zero(node.out[0]);
  if (layer.g.padded() && layer.g.pad_value != 0) {
    // All taps as if in the padding; those in the frame add what differs.
    for (int64_t i = 0; i < out.count(); ++i) {
      const int64_t* w = layer.w->ints.data() + i % channels * taps;
      for (int64_t tap = 0; tap < taps; ++tap) out.ints[i] += w[tap] * layer.g.pad_value;
    }
  }
  const int64_t less = layer.g.padded() ? layer.g.pad_value : 0;
  window::for_each_tap(layer.g, [&](int64_t window, int64_t tap, int64_t offset) {
    const int64_t* x = in[0]->ints.data() + offset;
    const int64_t* w = weights.data() + tap * channels;
    int64_t* sum = out.ints.data() + window * channels;
    for (int64_t channel = 0; channel < channels; ++channel) {
      sum[channel] += w[channel] * (x[channel] - less);
    }
  });
  for (const int64_t sum : out.ints)
    FOLDSTREAM_CHECK(sum >= layer.acc.min() && sum <= layer.acc.max());
  if (layer.thresholds) {
    for (int64_t i = 0; i < out.count(); ++i) {
      out.ints[i] = layer.thresholds->apply(i % channels, out.ints[i]);
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Layer layer(node);
  const Geometry& g = layer.g;
  const std::string padded = window::pad_onnx(g, sink);
  // ONNX has channels behind the images.
  const auto channels_first = [&](const Type& type, int64_t height, int64_t width) {
    Type first = type;
    first.shape = {g.images, g.channels, height, width};
    if (g.one_axis) first.shape.erase(first.shape.begin() + 2);
    return first;
  };
  const auto of_axes = [&](int64_t rows, int64_t columns) {
    return g.one_axis ? std::vector{columns} : std::vector{rows, columns};
  };
  const std::string frame = sink.temporary(
      "channels_first", channels_first(g.element, g.rows.size + g.rows.before + g.rows.after,
                                       g.columns.size + g.columns.before + g.columns.after));
  const Type sums = channels_first(layer.acc, g.rows.windows(), g.columns.windows());
  const std::string convolved = sink.temporary("convolved", sums);
  sink.node(
      "", "Transpose", {padded}, {frame},
      {{"perm", g.one_axis ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{0, 3, 1, 2}}});
  Tensor kernels = *layer.w;
  kernels.type.shape = of_axes(g.rows.kernel, g.columns.kernel);
  kernels.type.shape.insert(kernels.type.shape.begin(), {g.channels, 1});
  sink.node("", "Conv", {frame, sink.constant(kernels, "weights")}, {convolved},
            {{"group", g.channels},
             {"kernel_shape", of_axes(g.rows.kernel, g.columns.kernel)},
             {"strides", of_axes(g.rows.stride, g.columns.stride)},
             {"dilations", of_axes(g.rows.dilation, g.columns.dilation)}});
  const std::string last = layer.thresholds ? sink.temporary("sums", layer.acc) : sink.output(0);
  sink.node(
      "", "Transpose", {convolved}, {last},
      {{"perm", g.one_axis ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{0, 2, 3, 1}}});
  if (layer.thresholds) {
    layer.thresholds->to_onnx(sink, last, layer.out.shape, layer.out.shape.size() - 1);
  }
}

}  // namespace

extern const Op op_vvau;
const Op op_vvau{
    .name = "vvau",
    .doc = "each channel's window times its own weights, with thresholds if it has any",
    .kind = Op::Kind::hardware,
    .to_onnx = to_onnx,
    .infer = infer,
    .eval = eval,
    .finn_name = "VVAU"};

}  // namespace foldstream
