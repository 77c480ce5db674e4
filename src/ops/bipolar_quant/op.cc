// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/quantizer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"qonnx:BipolarQuant"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 2);
  const Tensor& scale = float_operand(source, 1, "the scale");
  Node& node =
      graph.add(require_op("bipolar_quant"), {source.in[0]}, source.name, {}, {{"scale", scale}});
  return {{&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Tensor* scale = node.tensor("scale");
  if (scale == nullptr || !scale->type.is_float) throw Error("needs floats 'scale'");
  const Shape& shape = node.in_type(0).shape;
  if (broadcast_shape(scale->type.shape, shape) != shape) {
    throw Error(fmt::format("its scale {} does not fit the operand {}", to_string(scale->type),
                            to_string(node.in_type(0))));
  }
  for (const double v : scale->reals) {
    if (!std::isfinite(v)) throw Error(fmt::format("its scale holds {}", v));
  }
  return {float_type(shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor& scale = *node.tensor("scale");
  const std::vector<int64_t> scale_at = broadcast_offsets(scale.type.shape, in[0]->type.shape);
  Tensor out = make_zero(float_type(in[0]->type.shape));
  for (size_t i = 0; i < out.reals.size(); ++i) {
    const double s = scale.reals[scale_at[i]];
    out.reals[i] = in[0]->reals[i] >= 0 ? s : -s;
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("qonnx", "BipolarQuant", {sink.input(0), sink.constant(*node.tensor("scale"), "scale")},
            {sink.output(0)});
}

void lower(const Node& node, Lowering& lowering) {
  ChannelVectors channels(lowering, node.out[0].shape);
  std::vector<double> scale = channels.take(*node.tensor("scale"));
  if (!channels.ok()) {
    return lowering.keep("its scale varies along more than one axis",
                         "quantize along one channel axis");
  }
  Coding coding;
  coding.thresholds = {{0.0F}};
  for (double& s : scale) s *= 2;  // codes 0 and 1 stand for -1 and +1
  lower_quantizer(lowering, std::move(coding), channels.axis(), std::move(scale), {0.5});
}

}  // namespace

extern const Op op_bipolar_quant;
const Op op_bipolar_quant{.name = "bipolar_quant",
                          .doc = "sign quantizer: scale where x >= 0, -scale elsewhere",
                          .onnx = kOnnx,
                          .import = import,
                          .to_onnx = to_onnx,
                          .infer = infer,
                          .eval = eval,
                          .lower = lower,
                          .takes_floats = true};

}  // namespace foldstream
