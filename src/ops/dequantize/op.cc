// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/ops/dequantize/dequantize.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  const Shape& shape = node.in_type(0).shape;
  const int64_t axis = node.integer("axis", -1);
  if (axis >= static_cast<int64_t>(shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(node.in_type(0))));
  }
  const int64_t channels = axis < 0 ? 1 : shape[axis];
  for (const std::string_view key : {"scale", "bias"}) {
    const Tensor* tensor = node.tensor(key);
    if (tensor == nullptr || !tensor->type.is_float || tensor->type.shape.size() != 1 ||
        (tensor->count() != 1 && tensor->count() != channels)) {
      throw Error(fmt::format("needs a vector '{}' of 1 or {} reals", key, channels));
    }
  }
  return {float_type(shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape& shape = in[0]->type.shape;
  const Tensor &scale = *node.tensor("scale"), &bias = *node.tensor("bias");
  const int64_t axis = node.integer("axis", -1);
  int64_t inner = 1;
  for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
  Tensor out = make_zero(float_type(shape));
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = axis < 0 ? 0 : i / inner % shape[axis];
    const double scaled =
        scale.reals[scale.count() == 1 ? 0 : c] * static_cast<double>(in[0]->ints[i]);
    out.reals[i] = static_cast<float>(scaled + bias.reals[bias.count() == 1 ? 0 : c]);
  }
  return {std::move(out)};
}

// Whether float32 operations one after the other give the same as one rounding at the end.
bool exact_in_float(const Tensor& scale, const Tensor& bias) {
  const auto is_float = [](double v) { return static_cast<double>(static_cast<float>(v)) == v; };
  const auto is_power = [](double v) {
    int exponent = 0;
    return std::abs(std::frexp(v, &exponent)) == 0.5;
  };
  const auto all = [](const Tensor& tensor, const auto& holds) {
    return std::all_of(tensor.reals.begin(), tensor.reals.end(), holds);
  };
  return all(scale, is_float) && all(bias, is_float) &&
         (all(scale, is_power) || all(bias, [](double v) { return v == 0; }));
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor &scale = *node.tensor("scale"), &bias = *node.tensor("bias");
  const bool in_float = exact_in_float(scale, bias);
  const int64_t axis = node.integer("axis", -1);
  const Shape& shape = node.out[0].shape;
  const auto parameter = [&](const Tensor& tensor, std::string_view hint) {
    Shape broadcast;
    if (tensor.count() > 1) {
      broadcast.assign(shape.size() - axis, 1);
      broadcast[0] = tensor.count();
    }
    return sink.constant(
        in_float ? make_floats(broadcast, tensor.reals) : make_doubles(broadcast, tensor.reals),
        hint);
  };
  const Type type = in_float ? float_type(shape) : double_type(shape);
  std::string x = sink.input(0);
  const auto stage = [&](std::string_view op, std::vector<std::string> operands, bool last) {
    std::string result = last ? sink.output(0) : sink.temporary(op, type);
    operands.insert(operands.begin(), x);
    sink.node("", op, std::move(operands), {result});
    x = std::move(result);
  };
  if (!in_float) {
    const std::string wide = sink.temporary("wide", type);
    sink.node("", "Cast", {x}, {wide}, {{"to", int64_t{11}}});
    x = wide;
  }
  stage("Mul", {parameter(scale, "scale")}, false);
  stage("Add", {parameter(bias, "bias")}, in_float);
  if (!in_float) sink.node("", "Cast", {x}, {sink.output(0)}, {{"to", int64_t{1}}});
}

}  // namespace

extern const Op op_dequantize;
const Op op_dequantize{.name = "dequantize",
                       .doc = "float32(scale * q + bias) per channel, computed on the host",
                       .kind = Op::Kind::edge,
                       .to_onnx = to_onnx,
                       .infer = infer,
                       .eval = eval,
                       .kernels = &dequantize::kernels};

}  // namespace foldstream
