// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/quantizer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"qonnx:MultiThreshold"};

// QONNX's rule: the place of C in the layout, 1 where it has none; without a layout the last axis
// of three, the second of others.
int64_t channel_axis(const std::string& layout, size_t rank) {
  if (layout.empty()) return rank == 3 ? 2 : 1;
  const size_t at = layout.find('C');
  return at == std::string::npos ? 1 : static_cast<int64_t>(at);
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 2);
  Tensor thresholds = float_operand(source, 1, "the thresholds");
  const Shape& shape = thresholds.type.shape;
  if (shape.size() != 2 || shape[0] < 1) {
    throw Error(fmt::format("the thresholds are {}, expected [channels, levels]",
                            to_string(thresholds.type)));
  }
  // Their number at or below x does not depend on their order.
  for (int64_t c = 0; c < shape[0]; ++c) {
    const auto row = thresholds.reals.begin() + c * shape[1];
    std::sort(row, row + shape[1]);
  }
  const size_t rank = source.in[0].type().shape.size();
  const int64_t axis = channel_axis(text_attr(source, "data_layout", ""), rank);
  if (axis >= static_cast<int64_t>(rank)) {
    throw Error(fmt::format("an operand with {} axes has no channel axis {}", rank, axis));
  }
  Node& node = graph.add(require_op("multi_threshold"), {source.in[0]}, source.name,
                         {{"axis", axis},
                          {"out_scale", real_attr(source, "out_scale", 1)},
                          {"out_bias", real_attr(source, "out_bias", 0)},
                          {"out_dtype", text_attr(source, "out_dtype", "")}},
                         {{"thresholds", std::move(thresholds)}});
  return {{&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Tensor* thresholds = node.tensor("thresholds");
  if (thresholds == nullptr || !thresholds->type.is_float || thresholds->type.shape.size() != 2 ||
      thresholds->type.shape[1] < 1) {
    throw Error("needs floats 'thresholds' [channels, levels]");
  }
  const Shape& shape = node.in_type(0).shape;
  const int64_t axis = node.integer("axis"), rows = thresholds->type.shape[0];
  if (axis < 0 || axis >= static_cast<int64_t>(shape.size()) ||
      (rows != 1 && rows != shape[axis])) {
    throw Error(fmt::format("its thresholds have {} channels, axis {} of its operand is {}", rows,
                            axis, to_string(node.in_type(0))));
  }
  const double scale = node.real("out_scale", 1), bias = node.real("out_bias", 0);
  if (!std::isfinite(scale) || !std::isfinite(bias) || scale == 0) {
    throw Error(fmt::format("out_scale is {} and out_bias {}", scale, bias),
                "the scale must be finite and not zero, the bias finite");
  }
  for (int64_t c = 0; c < rows; ++c) {
    const auto row = thresholds->reals.begin() + c * thresholds->type.shape[1];
    if (!std::is_sorted(row, row + thresholds->type.shape[1])) {
      throw Error(fmt::format("its thresholds of channel {} are not ascending", c));
    }
  }
  return {float_type(shape)};
}

Coding coding_for(const Node& node) {
  const Tensor& thresholds = *node.tensor("thresholds");
  Coding coding;
  const int64_t levels = thresholds.type.shape[1];
  for (int64_t c = 0; c < thresholds.type.shape[0]; ++c) {
    const auto row = thresholds.reals.begin() + c * levels;
    coding.thresholds.emplace_back(row, row + levels);
  }
  return coding;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->type.shape;
  const int64_t axis = node.integer("axis");
  int64_t inner = 1;
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  const Tensor& thresholds = *node.tensor("thresholds");
  const int64_t rows = thresholds.type.shape[0], levels = thresholds.type.shape[1];
  const auto scale = static_cast<float>(node.real("out_scale", 1));
  const auto bias = static_cast<float>(node.real("out_bias", 0));
  Tensor out = make_zero(float_type(shape));
  for (size_t i = 0; i < out.reals.size(); ++i) {
    const int64_t c = rows == 1 ? 0 : static_cast<int64_t>(i) / inner % shape[axis];
    const auto row = thresholds.reals.begin() + c * levels;
    const double x = in[0]->reals[i];
    const auto level =
        std::isnan(x) ? 0.0F : static_cast<float>(std::upper_bound(row, row + levels, x) - row);
    const float scaled = scale * level;
    out.reals[i] = scaled + bias;
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  std::string layout;
  const int64_t axis = node.integer("axis");
  for (size_t d = 0; d < node.in_type(0).shape.size(); ++d) {
    layout += static_cast<int64_t>(d) == axis ? 'C' : 'x';
  }
  sink.node("qonnx", "MultiThreshold",
            {sink.input(0), sink.constant(*node.tensor("thresholds"), "thresholds")},
            {sink.output(0)},
            {{"data_layout", layout},
             {"out_scale", node.real("out_scale", 1)},
             {"out_bias", node.real("out_bias", 0)},
             {"out_dtype", node.text("out_dtype", "")}});
}

void lower(const Node& node, Lowering& lowering) {
  Coding coding = coding_for(node);
  const double scale = node.real("out_scale", 1), bias = node.real("out_bias", 0);
  const int axis = coding.thresholds.size() == 1 ? -1 : static_cast<int>(node.integer("axis"));
  lower_quantizer(lowering, std::move(coding), axis, {scale}, {-bias / scale});
}

}  // namespace

extern const Op op_multi_threshold;
const Op op_multi_threshold{.name = "multi_threshold",
                            .doc = "out_scale * (number of thresholds at or below x) + out_bias",
                            .onnx = kOnnx,
                            .import = import,
                            .to_onnx = to_onnx,
                            .infer = infer,
                            .eval = eval,
                            .lower = lower,
                            .takes_floats = true};

}  // namespace foldstream
