// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"LeakyRelu", "PRelu"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  const bool learned = source.type == "PRelu";
  expect_operands(source, learned ? 2 : 1, learned ? 2 : 1);
  constexpr double kSlope = 0.01F;
  Tensor slope = learned ? float_operand(source, 1, "the slope")
                         : make_floats({}, {real_attr(source, "alpha", kSlope)});
  return {{&graph.add(require_op("leaky_relu"), {source.in[0]}, source.name, {},
                      {{"slope", std::move(slope)}}),
           0}};
}

float apply(float x, float slope) { return x >= 0 ? x : slope * x; }

std::vector<Type> infer(const Node& node) {
  const Tensor* slope = node.tensor("slope");
  std::vector<Type> types = infer_unary(node);
  if (slope == nullptr || !slope->type.is_float ||
      broadcast_shape(slope->type.shape, types[0].shape) != types[0].shape) {
    throw Error(fmt::format("needs floats 'slope' that fit its operand {}", to_string(types[0])));
  }
  for (const double v : slope->reals) {
    if (!std::isfinite(v)) throw Error(fmt::format("a slope is {}", v));
  }
  return types;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Tensor& slope = *node.tensor("slope");
  const std::vector<int64_t> at = broadcast_offsets(slope.type.shape, in[0]->type.shape);
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.reals.size(); ++i) {
    out.reals[i] =
        apply(static_cast<float>(in[0]->reals[i]), static_cast<float>(slope.reals[at[i]]));
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor& slope = *node.tensor("slope");
  if (slope.count() == 1) {
    sink.node("", "LeakyRelu", {sink.input(0)}, {sink.output(0)}, {{"alpha", slope.reals[0]}});
  } else {
    sink.node("", "PRelu", {sink.input(0), sink.constant(slope, "slope")}, {sink.output(0)});
  }
}

void lower(const Node& node, Lowering& lowering) {
  const auto channels = lowering.per_channel(*node.tensor("slope"), node.out[0].shape);
  if (!channels) {
    return lowering.keep("its slopes vary along several axes", "use one slope for each channel");
  }
  const auto slopes = std::make_shared<const std::vector<double>>(channels->second);
  const auto slope = [slopes](int64_t c) {
    return static_cast<float>(slopes->size() == 1 ? (*slopes)[0] : slopes->at(c));
  };
  Step step;
  step.apply = [slope](float x, int64_t c) { return apply(x, slope(c)); };
  step.direction = [slope](int64_t c) { return slope(c) >= 0 ? 1 : 0; };
  lowering.step(0, channels->first, std::move(step));
}

}  // namespace

extern const Op op_leaky_relu;
const Op op_leaky_relu{.name = "leaky_relu",
                       .doc = "x where it isn't negative, slope * x elsewhere",
                       .onnx = kOnnx,
                       .import = import,
                       .to_onnx = to_onnx,
                       .infer = infer,
                       .eval = eval,
                       .lower = lower};

}  // namespace foldstream
