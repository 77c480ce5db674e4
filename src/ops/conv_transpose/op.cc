// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/source/window_layers.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"ConvTranspose"};

// Between the first and the last element that `size` windows of the result cover along an axis.
int64_t covered(const WindowShape& window, size_t axis, int64_t size) {
  return (size - 1) * window.stride[axis] + window.extent(axis);
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  const Shape spatial = spatial_axes(source.in[0].type()), weights = source.in[1].type().shape;
  const size_t axes = spatial.size();
  if (weights.size() != axes + 2) {
    throw Error(fmt::format("its weights are {}, expected {} axes", to_string(weights), axes + 2));
  }
  WindowShape window = import_window(source, {weights.begin() + 2, weights.end()}, spatial);
  Shape extra(axes, 0);
  if (const std::vector<int64_t>* given = integers_attr(source, "output_padding")) extra = *given;
  if (extra.size() != axes) {
    throw Error(
        fmt::format("its output_padding is {}, expected {} numbers", to_string(extra), axes));
  }
  // A wanted size of the result, or SAME_*, says how much of what is covered is cut off.
  const std::vector<int64_t>* wanted = integers_attr(source, "output_shape");
  const std::string automatic = text_attr(source, "auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (wanted != nullptr && wanted->size() < axes) {
    throw Error(fmt::format("its output_shape is {}", to_string(*wanted)));
  }
  for (size_t d = 0; d < axes && (wanted != nullptr || same); ++d) {
    const int64_t size =
        wanted != nullptr ? (*wanted)[wanted->size() - axes + d] : spatial[d] * window.stride[d];
    const int64_t total = covered(window, d, spatial[d]) + extra[d] - size;
    // Shorter than wanted: what is missing are zeros behind the last window.
    extra[d] += std::max<int64_t>(0, -total);
    const int64_t cut = std::max<int64_t>(0, total);
    window.pad[d] = automatic == "SAME_UPPER" ? cut / 2 : cut - cut / 2;
    window.pad[axes + d] = cut - window.pad[d];
  }
  NodeAttributes attr = window_attributes(window, false);
  if (extra != Shape(axes, 0)) attr["output_pad"] = extra;
  if (const int64_t groups = integer_attr(source, "group", 1); groups != 1) attr["groups"] = groups;
  Value result{&graph.add(require_op("conv_transpose"), {source.in[0], source.in[1]}, source.name,
                          std::move(attr)),
               0};
  if (source.has(2)) result = add_bias(result, source.in[2], source.name, graph);
  return {result};
}

struct Transposed {
  WindowShape window;
  Shape output_pad, spatial, result;
  int64_t images = 0, groups = 1;
  int64_t channels = 0, rows = 0;  // of one group
};

Transposed transposed_of(const Node& node) {
  if (node.in.size() != 2) throw Error(fmt::format("has {} operands, expected 2", node.in.size()));
  const Type &x = node.in_type(0), &w = node.in_type(1);
  Transposed conv;
  conv.spatial = spatial_axes(x);
  conv.groups = node.integer("groups", 1);
  if (!x.is_float || !w.is_float || w.shape.size() != x.shape.size() || w.shape[0] != x.shape[1]) {
    throw Error(
        fmt::format("its weights are {} and its operand {}, expected floats and one row "
                    "of weights for each channel",
                    to_string(w), to_string(x)));
  }
  if (conv.groups < 1 || x.shape[1] % conv.groups != 0) {
    throw Error(fmt::format("{} groups don't divide {} channels", conv.groups, x.shape[1]));
  }
  conv.images = x.shape[0];
  conv.channels = x.shape[1] / conv.groups;
  conv.rows = w.shape[1];
  conv.window = window_of(node, {w.shape.begin() + 2, w.shape.end()});
  const size_t axes = conv.window.axes();
  conv.output_pad = node.integers("output_pad", Shape(axes, 0));
  if (conv.output_pad.size() != axes) {
    throw Error(fmt::format("its output_pad is {}", to_string(conv.output_pad)));
  }
  check_window(conv.window, conv.spatial.size());
  for (size_t d = 0; d < axes; ++d) {
    if (conv.output_pad[d] < 0 || conv.output_pad[d] > kMostWindow) {
      throw Error(fmt::format("its output_pad is {}, expected numbers from 0 to {}",
                              to_string(conv.output_pad), kMostWindow));
    }
    conv.result.push_back(covered(conv.window, d, conv.spatial[d]) + conv.output_pad[d] -
                          conv.window.pad[d] - conv.window.pad[axes + d]);
    if (conv.spatial[d] < 1 || conv.result[d] < 1) {
      throw Error(
          fmt::format("its pad {} leaves nothing of axis {}", to_string(conv.window.pad), d + 2));
    }
  }
  return conv;
}

std::vector<Type> infer(const Node& node) {
  const Transposed conv = transposed_of(node);
  Shape shape = {conv.images, conv.groups * conv.rows};
  shape.insert(shape.end(), conv.result.begin(), conv.result.end());
  return {float_type(std::move(shape))};
}

// y += w * x, moved to where each element of x lands for one position of the kernel.
void add_position(const Transposed& conv, const Shape& position, double w, const double* x,
                  double* y) {
  const size_t axes = conv.window.axes(), inner = axes - 1;
  const int64_t stride = conv.window.stride[inner];
  const auto landing = [&](size_t d) {
    return position[d] * conv.window.dilation[d] - conv.window.pad[d];
  };
  const int64_t offset = landing(inner), width = conv.spatial[inner];
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t room = conv.result[inner] - offset;
  const int64_t end = room <= 0 ? 0 : std::min(width, (room - 1) / stride + 1);
  const int64_t lines = axes == 2 ? conv.spatial[0] : 1;
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t to = axes == 2 ? line * conv.window.stride[0] + landing(0) : 0;
    if (axes == 2 && (to < 0 || to >= conv.result[0])) continue;
    const double* from = x + line * width;
    double* row = y + to * conv.result[inner] + offset;
    for (int64_t i = first; i < end; ++i) row[i * stride] += w * from[i];
  }
}

// Sums in double and rounds once.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Transposed conv = transposed_of(node);
  Tensor out = make_zero(node.out[0]);
  const int64_t plane = element_count(conv.spatial), result = element_count(conv.result);
  const int64_t positions = conv.window.positions();
  const int64_t last = conv.window.kernel.back();
  double* y = out.reals.data();
  for (int64_t i = 0; i < conv.images * conv.groups; ++i) {
    const int64_t group = i % conv.groups;
    for (int64_t row = 0; row < conv.rows; ++row, y += result) {
      for (int64_t c = 0; c < conv.channels; ++c) {
        const double* x = in[0]->reals.data() + (i * conv.channels + c) * plane;
        const double* w =
            in[1]->reals.data() + ((group * conv.channels + c) * conv.rows + row) * positions;
        for (int64_t p = 0; p < positions; ++p) {
          const Shape position = conv.window.axes() == 2 ? Shape{p / last, p % last} : Shape{p};
          add_position(conv, position, w[p], x, y);
        }
      }
    }
  }
  for (double& v : out.reals) v = static_cast<float>(v);
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Transposed conv = transposed_of(node);
  NodeAttributes attr = onnx_window(conv.window);
  attr["group"] = conv.groups;
  attr["output_padding"] = conv.output_pad;
  sink.node("", "ConvTranspose", {sink.input(0), sink.input(1)}, {sink.output(0)}, std::move(attr));
}

void lower(const Node& node, Lowering& lowering) {
  const Transposed conv = transposed_of(node);
  lower_transposed_convolution(lowering, conv.window, conv.groups);
}

}  // namespace

extern const Op op_conv_transpose;
const Op op_conv_transpose{
    .name = "conv_transpose",
    .doc =
        "transposed convolution: what each element of the operand adds to a window of the "
        "result",
    .onnx = kOnnx,
    .import = import,
    .to_onnx = to_onnx,
    .infer = infer,
    .eval = eval,
    .lower = lower};

}  // namespace foldstream
