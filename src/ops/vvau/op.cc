// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/arith/scaled_levels.h"
#include "src/arith/weights.h"
#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/steps.h"
#include "src/ops/vvau/vvau.h"
#include "src/rtl/rom.h"
#include "src/util/error.h"

namespace foldstream::vvau {

using window::Geometry;

Layer::Layer(const Node& node) : g(node), w(node.tensor("w")) {
  if (w == nullptr || w->type.is_float ||
      w->type.shape != foldstream::Shape{g.channels, g.taps()}) {
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
  if (g.channels < 1) {
    throw Error(fmt::format("weights of shape {}", to_string(w->type.shape)),
                "a layer has a channel at least");
  }
  if (memory_place(node) == MemoryPlace::writable) {
    sums = arith::row_range(w->type, g.taps(), g.element);
  } else if (node.attr.contains("range")) {
    const std::vector<int64_t> bound = node.integers("range", {});
    if (bound.size() != 2 || bound[0] > bound[1]) throw Error("'range' must be [least, greatest]");
    sums = {bound[0], bound[1]};
  } else {
    sums = arith::row_range(*w, 0, g.element);
    for (int64_t channel = 1; channel < g.channels; ++channel) {
      const arith::Range range = arith::row_range(*w, channel, g.element);
      sums = {std::min(sums.lo, range.lo), std::max(sums.hi, range.hi)};
    }
  }
  acc = type_for_range(sums.lo, sums.hi, g.result(g.channels));
  if (node.tensor("t") != nullptr) thresholds.emplace(node, g.channels);
  out = thresholds ? thresholds->result(acc.shape) : acc;
}

namespace {

std::vector<int64_t> legal_lines(const Geometry& g) {
  if (window::has_lines(g)) return {1, g.rows.kernel};
  return {1};
}

}  // namespace

Folding::Folding(const Node& node) {
  const Geometry g(node);
  pe = folding(node, "pe", g.channels, "channels");
  channel_folds = g.channels / pe;
  lines = node.integer("simd", 1);
  const std::vector<int64_t> legal = legal_lines(g);
  if (std::find(legal.begin(), legal.end(), lines) == legal.end()) {
    throw Error(
        fmt::format("{}: simd = {}, positions of the kernel at once", describe(node), lines),
        fmt::format("legal values are {}", fmt::join(legal, ", ")));
  }
  memory = memory_place(node);
  if (memory == MemoryPlace::streamed) {
    throw Error(fmt::format("{}: memory = streamed", describe(node)),
                "legal values are inside, outside, loaded, writable");
  }
  word_latency = memory_latency(node);
  scaled = arith::is_scaled(node);
  walk = window::find_walk({.rows = g.rows,
                            .columns = g.columns,
                            .position_beats = channel_folds,
                            .channels_inside = false,
                            .width = pe * int64_t{g.operand.bits},
                            .lines_at_once = lines > 1});
}

namespace {

std::vector<Type> infer(const Node& node) {
  const Layer layer(node);
  if (layer.thresholds && arith::has_scaling(node)) {
    arith::check_scaling(node, *layer.thresholds,
                         arith::row_ranges(*layer.w, layer.g.element, layer.sums));
  }
  return {layer.out};
}

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
  for (const int64_t sum : out.ints) {
    if (sum < layer.acc.min() || sum > layer.acc.max()) {
      throw Error(fmt::format("{}: a sum of {}", describe(node), sum),
                  "'range' must hold every sum");
    }
  }
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

std::vector<Fold> folds(const Node& node) {
  const Geometry g(node);
  std::vector<Fold> folds{{"pe", divisors(g.channels)}, {"simd", legal_lines(g)}};
  if (arith::may_scale(node)) folds.push_back({"scaled", {0, 1}});
  return folds;
}

Ports ports(const Node& node) {
  const int64_t pe = Folding(node).pe;
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family family) {
  const Geometry g(node);
  const Folding folding(node);
  Rhythm rhythm{.frame = repeated(folding.walk->frame, g.images)};
  rhythm.store = folding.walk->store(g.images);
  finish_rhythm(node, pipeline_stages(node, folding, family), g.taps() / folding.lines, rhythm);
  return rhythm;
}

Cost node_cost(const Node& node, Family family) { return cost(node, rhythm(node, family), family); }

Hardware emit_modules(const Node& node, Family family, const std::string& instance) {
  return emit(node, rhythm(node, family), family, instance);
}

// FINN counts as for a matrix.
std::map<std::string, int64_t> counts(const Node& node) {
  const Layer layer(node);
  const int64_t w_bits = arith::weight_type(*layer.w).bits;
  const auto [low, high] = std::minmax<int64_t>({w_bits, layer.g.operand.bits});
  std::map<std::string, int64_t> counts{
      {fmt::format("op_mac_{}bx{}b", low, high),
       layer.w->count() * layer.g.windows() * layer.g.images},
      {fmt::format("param_weight_{}b", w_bits), layer.w->count()}};
  if (layer.thresholds) {
    counts[fmt::format("param_threshold_{}b", layer.acc.bits)] = layer.g.channels;
  }
  return counts;
}

}  // namespace
}  // namespace foldstream::vvau

namespace foldstream {

extern const Op op_vvau;
const Op op_vvau{
    .name = "vvau",
    .doc = "each channel's window times its own weights, with thresholds if it has any",
    .kind = Op::Kind::hardware,
    .to_onnx = vvau::to_onnx,
    .infer = vvau::infer,
    .eval = vvau::eval,
    .folds = vvau::folds,
    .ports = vvau::ports,
    .rhythm = vvau::rhythm,
    .cost = vvau::node_cost,
    .emit = vvau::emit_modules,
    .memories = vvau::memories,
    .counts = vvau::counts,
    .finn_name = "VVAU",
    .kernels = &vvau::kernels};

}  // namespace foldstream
