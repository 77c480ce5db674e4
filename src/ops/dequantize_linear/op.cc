// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"DequantizeLinear"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  if (integer_attr(source, "block_size", 0) != 0) {
    throw Error("quantizes in blocks", "quantize per tensor or per channel");
  }
  const Tensor& scale = float_operand(source, 1, "the scale");
  std::map<std::string, Tensor, std::less<>> data = {{"scale", scale}};
  if (source.has(2)) {
    const Tensor& zero = constant_operand(source, 2, "the zero point");
    const Type& type = source.in[0].type();
    // Codes clipped to fewer bits are of fewer here, and their zero point is not.
    const bool is_wider = !type.is_float && zero.type.is_signed == type.is_signed &&
                          !zero.type.is_float && zero.type.bits > type.bits;
    if (element_name(zero.type) != element_name(type) && !is_wider) {
      throw Error(fmt::format("the zero point is {} and operand 0 {}, expected one element type",
                              to_string(zero.type), to_string(type)));
    }
    data.emplace("zero", zero);
  }
  std::map<std::string, Attr, std::less<>> attr;
  if (scale.count() > 1) {
    attr["axis"] = checked_axis(integer_attr(source, "axis", 1), source.in[0].type().shape.size());
  }
  return {{&graph.add(require_op("dequantize_linear"), {source.in[0]}, source.name, std::move(attr),
                      std::move(data)),
           0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  const Type& type = node.in_type(0);
  if (type.is_float || type.bits > 32) {
    throw Error(
        fmt::format("operand 0 is {}, expected integers of at most 32 bits", to_string(type)));
  }
  const int64_t axis = node.integer("axis", -1);
  if (axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(type)));
  }
  const int64_t channels = axis < 0 ? 1 : type.shape[axis];
  const Tensor *scale = node.tensor("scale"), *zero = node.tensor("zero");
  if (scale == nullptr || !scale->type.is_float || scale->count() != channels) {
    throw Error(fmt::format("needs {} scales", channels));
  }
  for (const double v : scale->reals) {
    if (!std::isfinite(v)) throw Error(fmt::format("its scale holds {}", v));
  }
  if (zero != nullptr &&
      (zero->type.is_float || (zero->count() != 1 && zero->count() != channels))) {
    throw Error(
        fmt::format("its zero point is {}, expected {} integers", to_string(zero->type), channels));
  }
  return {float_type(type.shape)};
}

struct Parameters {
  std::vector<float> scale;
  std::vector<int64_t> zero;  // one entry, or one a channel

  float scale_at(int64_t c) const { return scale.size() == 1 ? scale[0] : scale.at(c); }
  int64_t zero_at(int64_t c) const { return zero.size() == 1 ? zero[0] : zero.at(c); }
  float value(int64_t q, int64_t c) const {
    return static_cast<float>(q - zero_at(c)) * scale_at(c);
  }
};

Parameters parameters_of(const Node& node) {
  const std::vector<double>& scale = node.tensor("scale")->reals;
  const Tensor* zero = node.tensor("zero");
  return {{scale.begin(), scale.end()}, zero == nullptr ? std::vector<int64_t>{0} : zero->ints};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Parameters parameters = parameters_of(node);
  const Shape& shape = in[0]->type.shape;
  const int64_t axis = node.integer("axis", -1);
  int64_t inner = 1;
  for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = axis < 0 ? 0 : i / inner % shape[axis];
    out.reals[i] = parameters.value(in[0]->ints[i], c);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor& scale = *node.tensor("scale");
  const Parameters parameters = parameters_of(node);
  const Type& type = node.in_type(0);
  std::map<std::string, Attr, std::less<>> attributes;
  if (node.attr.contains("axis")) attributes["axis"] = node.integer("axis");
  constexpr int64_t kPlain = 13, kOtherBits = 21;
  sink.need_version("", type.bits == 8 || type.bits == 32 ? kPlain : kOtherBits);
  std::vector<std::string> operands = {sink.input(0), sink.constant(scale, "scale")};
  if (node.tensor("zero") != nullptr) {
    Type zero_type = type;
    zero_type.shape = scale.type.shape;
    Tensor zero = make_zero(zero_type);
    for (int64_t c = 0; c < zero.count(); ++c) zero.ints[c] = parameters.zero_at(c);
    operands.push_back(sink.typed_constant(zero, "zero"));
  }
  sink.node("", "DequantizeLinear", std::move(operands), {sink.output(0)}, std::move(attributes));
}

void lower(const Node& node, Lowering& lowering) {
  const auto parameters = std::make_shared<const Parameters>(parameters_of(node));
  const int axis = static_cast<int>(node.integer("axis", -1));
  const Traced& operand = lowering.in(0);
  const bool has_codes = operand.codes && operand.steps.empty() &&
                         (operand.axis < 0 || axis < 0 || operand.axis == axis);
  const bool is_plain = operand.real && !operand.real->type.is_float;
  if (has_codes || is_plain) {
    Traced result;
    result.codes = has_codes ? operand.codes : operand.real;
    result.axis = axis < 0 && has_codes ? operand.axis : axis;
    const int64_t channels = result.axis < 0 ? 1 : node.out[0].shape[result.axis];
    result.scale.clear(), result.bias.clear();
    for (int64_t c = 0; c < channels; ++c) {
      const double scale = parameters->scale_at(c);
      const double shift = has_codes ? entry(operand.bias, c) : 0;
      result.scale.push_back(has_codes ? scale * entry(operand.scale, c) : scale);
      result.bias.push_back(scale * (shift - static_cast<double>(parameters->zero_at(c))));
    }
    const auto [lo, hi] = std::minmax_element(result.codes->ints.begin(), result.codes->ints.end());
    if (lo != result.codes->ints.end()) result.lo = {*lo}, result.hi = {*hi};
    return lowering.set(0, std::move(result));
  }
  if (!operand.is_integer()) {
    return lowering.keep("its integers are computed on the host", "start with a quantizer");
  }
  Step step;
  step.apply = [parameters](float x, int64_t c) {
    const float shifted = x - static_cast<float>(parameters->zero_at(c));
    return shifted * parameters->scale_at(c);
  };
  step.direction = [parameters](int64_t c) { return parameters->scale_at(c) < 0 ? -1 : 1; };
  step.affine = [parameters](int64_t c) {
    const double scale = parameters->scale_at(c);
    return std::pair<double, double>(scale, -scale * static_cast<double>(parameters->zero_at(c)));
  };
  lowering.step(0, axis, std::move(step));
}

}  // namespace

extern const Op op_dequantize_linear;
const Op op_dequantize_linear{.name = "dequantize_linear",
                              .doc = "(q - zero) * scale",
                              .onnx = kOnnx,
                              .import = import,
                              .to_onnx = to_onnx,
                              .infer = infer,
                              .eval = eval,
                              .lower = lower,
                              .takes_floats = true};

}  // namespace foldstream
