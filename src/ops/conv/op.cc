// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/ops/conv/conv.h"
#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {

namespace conv {

Convolution convolution_of(const Node& node) {
  if (node.in.size() != 2) throw Error(fmt::format("has {} operands, expected 2", node.in.size()));
  const Type &x = node.in_type(0), &w = node.in_type(1);
  Convolution conv;
  conv.spatial = spatial_axes(x);
  conv.groups = node.integer("groups", 1);
  if (!w.is_float || w.shape.size() != x.shape.size()) {
    throw Error(fmt::format("its weights are {}, expected floats with {} axes", to_string(w),
                            x.shape.size()));
  }
  if (conv.groups < 1 || w.shape[0] % conv.groups != 0 || x.shape[1] % conv.groups != 0) {
    throw Error(fmt::format("{} groups don't divide {} channels and {} rows of weights",
                            conv.groups, x.shape[1], w.shape[0]));
  }
  conv.images = x.shape[0];
  conv.channels = x.shape[1] / conv.groups;
  conv.rows = w.shape[0] / conv.groups;
  if (w.shape[1] != conv.channels) {
    throw Error(
        fmt::format("its weights {} take {} channels in each of {} groups, its operand {} "
                    "has {}",
                    to_string(w), w.shape[1], conv.groups, to_string(x), conv.channels));
  }
  conv.window = window_of(node, {w.shape.begin() + 2, w.shape.end()});
  conv.places = window_places(conv.window, conv.spatial);
  return conv;
}

GroupProduct::GroupProduct(const Convolution& conv)
    : rows_(conv.rows), all_places_(element_count(conv.places)) {
  const WindowShape& window = conv.window;
  const bool line = window.axes() == 1;
  const auto along = [&](const Shape& values, int axis, int64_t absent) {
    return line ? (axis == 0 ? absent : values[0]) : values[axis];
  };
  for (int axis = 0; axis < 2; ++axis) {
    size_[axis] = along(conv.spatial, axis, 1);
    kernel_[axis] = along(window.kernel, axis, 1);
    stride_[axis] = along(window.stride, axis, 1);
    dilation_[axis] = along(window.dilation, axis, 1);
    begin_[axis] = along(window.pad, axis, 0);
    places_[axis] = along(conv.places, axis, 1);
  }
  panels_ = (all_places_ + kPanelColumns - 1) / kPanelColumns;
  inner_ = conv.channels * kernel_[0] * kernel_[1];
}

}  // namespace conv

namespace {

using conv::Convolution;
using conv::convolution_of;
using conv::GroupProduct;

constexpr std::string_view kOnnx[] = {"Conv", "channels_last:Conv"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  const bool last = source.domain == kChannelsLastDomain;
  const Value x = last ? channels_first(source.in[0], source.name + "_first", graph) : source.in[0];
  const Value w =
      last ? channels_first(source.in[1], source.name + "_weights", graph) : source.in[1];
  const Shape spatial = spatial_axes(x.type()), weights = w.type().shape;
  if (weights.size() != spatial.size() + 2) {
    throw Error(fmt::format("its weights are {}, expected {} axes", to_string(w.type()),
                            spatial.size() + 2));
  }
  Shape kernel(weights.begin() + 2, weights.end());
  const std::vector<int64_t>* declared = integers_attr(source, "kernel_shape");
  if (declared != nullptr && *declared != kernel) {
    throw Error(fmt::format("its kernel_shape is {} and its weights are {}", to_string(*declared),
                            to_string(w.type())));
  }
  NodeAttributes attr = window_attributes(import_window(source, std::move(kernel), spatial), false);
  if (const int64_t groups = integer_attr(source, "group", 1); groups != 1) attr["groups"] = groups;
  Value result{&graph.add(require_op("conv"), {x, w}, source.name, std::move(attr)), 0};
  if (source.has(2)) result = add_bias(result, source.in[2], source.name, graph);
  return {last ? channels_last(result, source.name + "_last", graph) : result};
}

std::vector<Type> infer(const Node& node) {
  const Convolution conv = convolution_of(node);
  Shape shape = {conv.images, conv.groups * conv.rows};
  shape.insert(shape.end(), conv.places.begin(), conv.places.end());
  return {float_type(std::move(shape))};
}

// Sums in double and rounds once, as matmul does.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Convolution conv = convolution_of(node);
  Tensor out = make_zero(node.out[0]);
  const GroupProduct product(conv);
  std::vector<double> scratch(product.scratch());
  for (int64_t i = 0; i < conv.images * conv.groups; ++i) {
    for (int64_t block = 0; block < product.blocks(); ++block) {
      product.run(in[0]->reals.data() + i * conv.operand(),
                  in[1]->reals.data() + i % conv.groups * conv.weights(),
                  out.reals.data() + i * conv.result(), block, scratch.data());
    }
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Convolution conv = convolution_of(node);
  NodeAttributes attr = onnx_window(conv.window);
  attr["group"] = conv.groups;
  sink.node("", "Conv", {sink.input(0), sink.input(1)}, {sink.output(0)}, std::move(attr));
}

void lower(const Node& node, Lowering& lowering) {
  const Convolution conv = convolution_of(node);
  lower_convolution(lowering, conv.window, conv.groups);
}

}  // namespace

extern const Op op_conv;
const Op op_conv{.name = "conv",
                 .doc = "convolution in one or two dimensions, summed in double and rounded once",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .lower = lower,
                 .kernels = &conv::kernels};

}  // namespace foldstream
