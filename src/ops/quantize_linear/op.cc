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

constexpr std::string_view kOnnx[] = {"QuantizeLinear"};

// ONNX's numbers of integer element types, for the attribute output_dtype.
Type type_of_number(int64_t number) {
  switch (number) {
    case 0:  // not given
    case 2:
      return integer_type(8, false, {});
    case 3:
      return integer_type(8, true, {});
    case 4:
      return integer_type(16, false, {});
    case 5:
      return integer_type(16, true, {});
    case 21:
      return integer_type(4, false, {});
    case 22:
      return integer_type(4, true, {});
    default:
      throw Error(fmt::format("output_dtype is number {}", number),
                  "expected an integer type of 4, 8 or 16 bits");
  }
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  if (integer_attr(source, "block_size", 0) != 0) {
    throw Error("quantizes in blocks", "quantize per tensor or per channel");
  }
  const Tensor& scale = float_operand(source, 1, "the scale");
  Type type = type_of_number(integer_attr(source, "output_dtype", 0));
  std::map<std::string, Tensor, std::less<>> data = {{"scale", scale}};
  if (source.has(2)) {
    const Tensor& zero = constant_operand(source, 2, "the zero point");
    if (zero.type.is_float || zero.type.bits > 16) {
      throw Error(fmt::format("the zero point is {}", to_string(zero.type)),
                  "expected an integer type of 4, 8 or 16 bits");
    }
    type = zero.type;
    data.emplace("zero", zero);
  }
  std::map<std::string, Attr, std::less<>> attr = {{"type", element_name(type)}};
  if (scale.count() > 1) {
    attr["axis"] = checked_axis(integer_attr(source, "axis", 1), source.in[0].type().shape.size());
  }
  return {{&graph.add(require_op("quantize_linear"), {source.in[0]}, source.name, std::move(attr),
                      std::move(data)),
           0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Shape& shape = node.in_type(0).shape;
  const int64_t axis = node.integer("axis", -1);
  if (axis >= static_cast<int64_t>(shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(node.in_type(0))));
  }
  const int64_t channels = axis < 0 ? 1 : shape[axis];
  const Tensor *scale = node.tensor("scale"), *zero = node.tensor("zero");
  if (scale == nullptr || !scale->type.is_float || scale->count() != channels) {
    throw Error(fmt::format("needs {} scales", channels));
  }
  for (const double v : scale->reals) {
    if (!(v > 0) || !std::isfinite(v)) {
      throw Error(fmt::format("its scale holds {}", v), "scales must be positive and finite");
    }
  }
  Type type = parse_element(node.text("type", "u8"));
  if (type.is_float || type.bits > 16) throw Error("its type is not an integer of 1 to 16 bits");
  if (zero != nullptr && (element_name(zero->type) != element_name(type) ||
                          (zero->count() != 1 && zero->count() != channels))) {
    throw Error(fmt::format("its zero point is {}, expected {} of type {}", to_string(zero->type),
                            channels, element_name(type)));
  }
  type.shape = shape;
  return {type};
}

Coding coding_for(const Node& node) {
  const Tensor* zero = node.tensor("zero");
  const std::vector<double>& scale = node.tensor("scale")->reals;
  Coding coding;
  coding.scale = {scale.begin(), scale.end()};
  coding.round_first = true;
  if (zero != nullptr) coding.shift = {zero->ints.begin(), zero->ints.end()};
  coding.bits = node.out[0].bits;
  coding.is_signed = node.out[0].is_signed;
  return coding;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Coding coding = coding_for(node);
  const Shape& shape = in[0]->type.shape;
  const int64_t axis = node.integer("axis", -1);
  int64_t inner = 1;
  for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = axis < 0 ? 0 : i / inner % shape[axis];
    out.ints[i] = coding.code(static_cast<float>(in[0]->reals[i]), c);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  constexpr int64_t kEightBits = 13, kOtherBits = 21;
  sink.need_version("", node.out[0].bits == 8 ? kEightBits : kOtherBits);
  const Tensor& scale = *node.tensor("scale");
  Tensor zero = make_zero(node.out[0]);
  zero.type.shape = scale.type.shape;
  const Tensor* given = node.tensor("zero");
  zero.ints.resize(scale.count());
  for (int64_t c = 0; c < scale.count() && given != nullptr; ++c) {
    zero.ints[c] = given->ints[given->count() == 1 ? 0 : c];
  }
  std::map<std::string, Attr, std::less<>> attributes;
  if (node.attr.contains("axis")) attributes["axis"] = node.integer("axis");
  sink.node("", "QuantizeLinear",
            {sink.input(0), sink.constant(scale, "scale"), sink.typed_constant(zero, "zero")},
            {sink.output(0)}, std::move(attributes));
}

// The result is the code itself: a description of scale 1.
void lower(const Node& node, Lowering& lowering) {
  lower_quantizer(lowering, coding_for(node), static_cast<int>(node.integer("axis", -1)), {1.0},
                  {0.0});
}

}  // namespace

extern const Op op_quantize_linear;
const Op op_quantize_linear{.name = "quantize_linear",
                            .doc = "clip(round_half_even(x / scale) + zero), an integer",
                            .onnx = kOnnx,
                            .import = import,
                            .to_onnx = to_onnx,
                            .infer = infer,
                            .eval = eval,
                            .lower = lower,
                            .takes_floats = true};

}  // namespace foldstream
