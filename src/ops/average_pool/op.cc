// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/source/pooling.h"
#include "src/source/window_layers.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"AveragePool", "GlobalAveragePool", "qonnx:QuantAvgPool2d"};

bool counts_pad(const Node& node) { return node.integer("counts_pad", 0) != 0; }

// The sum of each window of integers without its lowest bits: floor(round(mean * positions) / 2^k).
std::vector<Value> import_quantized(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const auto attribute = [&](std::string_view key, int64_t most) {
    const int64_t value = integer_attr(source, key, 0);
    if (value < 1 || value > most) {
      throw Error(fmt::format("its {} is {}, expected 1 to {}", key, value, most));
    }
    return value;
  };
  const std::string layout = text_attr(source, "data_layout", "NCHW");
  if (layout != "NCHW" && layout != "NHWC") {
    throw Error(fmt::format("its data_layout is '{}'", layout), "expected NCHW or NHWC");
  }
  const bool last = layout == "NHWC";
  constexpr int64_t kMostKernel = 1024, kMostBits = 32;
  const int64_t kernel = attribute("kernel", kMostKernel);
  const int64_t stride = attribute("stride", kMostKernel);
  const int64_t in_bits = attribute("ibits", kMostBits);
  const int64_t out_bits = attribute("obits", kMostBits);
  int64_t sum_bits = 0;
  for (int64_t most = ((int64_t{1} << in_bits) - 1) * kernel * kernel; most > 0; most /= 2) {
    ++sum_bits;
  }
  const auto times = [&](Value x, double factor, std::string_view suffix) -> Value {
    const std::string name = fmt::format("{}_{}", source.name, suffix);
    const Value constant{&graph.add(require_op("constant"), {}, name + "_factor", {},
                                    {{"value", make_floats({}, {factor})}}),
                         0};
    return {&graph.add(require_op("mul"), {x, constant}, name), 0};
  };
  const auto rounded = [&](Value x, std::string mode, std::string_view suffix) -> Value {
    return {&graph.add(require_op("round"), {x}, fmt::format("{}_{}", source.name, suffix),
                       {{"mode", std::move(mode)}}),
            0};
  };
  Value x = last ? channels_first(source.in[0], source.name + "_first", graph) : source.in[0];
  const WindowShape window{{kernel, kernel}, {stride, stride}, {1, 1}, {0, 0, 0, 0}};
  x = {&graph.add(require_op("average_pool"), {x}, source.name, window_attributes(window, true)),
       0};
  x = rounded(times(x, static_cast<double>(kernel * kernel), "sum"), "Round", "integer");
  const auto dropped = static_cast<int>(std::max<int64_t>(0, sum_bits - out_bits));
  if (dropped > 0) {
    x = rounded(times(x, std::ldexp(1.0, -dropped), "shifted"), "Floor", "truncated");
  }
  return {last ? channels_last(x, source.name + "_last", graph) : x};
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "QuantAvgPool2d") return import_quantized(source, graph);
  NodeAttributes more;
  if (integer_attr(source, "count_include_pad", 0) != 0) more["counts_pad"] = int64_t{1};
  return import_pool("average_pool", source, source.type == "GlobalAveragePool", std::move(more),
                     graph);
}

// Positions of a window that count where padding does: all but those that only ceil_mode added.
int64_t counted(const WindowShape& window, const Shape& reach, const Shape& spatial,
                const std::vector<int64_t>& place) {
  int64_t count = 1;
  for (size_t d = 0; d < place.size(); ++d) {
    const int64_t end = spatial[d] + window.pad[d] + window.pad[window.axes() + d] - reach[d];
    const int64_t room = end - place[d] * window.stride[d];
    count *= std::min(window.kernel[d], (room + window.dilation[d] - 1) / window.dilation[d]);
  }
  return count;
}

// The sum in double, divided and rounded once.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const WindowShape window = pool_window(node);
  const Shape spatial = spatial_axes(in[0]->type);
  const Shape reach = node.integers("reach", Shape(window.axes(), 0));
  const auto mean = [&](const std::vector<double>& elements, const std::vector<int64_t>& place) {
    const double sum = std::accumulate(elements.begin(), elements.end(), 0.0);
    const int64_t count = counts_pad(node) ? counted(window, reach, spatial, place)
                                           : static_cast<int64_t>(elements.size());
    return static_cast<double>(static_cast<float>(sum / static_cast<double>(count)));
  };
  return {eval_pool(node, *in[0], mean)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  WindowShape window = pool_window(node);
  const Shape reach = node.integers("reach", Shape(window.axes(), 0));
  NodeAttributes attr;
  for (size_t d = 0; d < reach.size(); ++d) {
    if (reach[d] == 0) continue;
    window.pad[window.axes() + d] -= reach[d];
    attr["ceil_mode"] = int64_t{1};
  }
  attr.merge(onnx_window(window));
  attr.erase("dilations");
  if (counts_pad(node)) attr["count_include_pad"] = int64_t{1};
  sink.node("", "AveragePool", {sink.input(0)}, {sink.output(0)}, std::move(attr));
}

void lower(const Node& node, Lowering& lowering) {
  const WindowShape window = pool_window(node);
  const bool dilated =
      std::any_of(window.dilation.begin(), window.dilation.end(), [](int64_t d) { return d != 1; });
  if (dilated) return lowering.keep("its windows are dilated", "pool over neighbours");
  lower_average_pool(lowering, window, counts_pad(node) && node.integers("reach", {}).empty());
}

}  // namespace

extern const Op op_average_pool;
const Op op_average_pool{.name = "average_pool",
                         .doc = "the mean of each window",
                         .onnx = kOnnx,
                         .import = import,
                         .to_onnx = to_onnx,
                         .infer = infer_pool,
                         .eval = eval,
                         .lower = lower};

}  // namespace foldstream
