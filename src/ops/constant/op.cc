// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Constant", "ConstantOfShape", "Shape"};

Tensor constant_attr(const OnnxNode& source) {
  for (const std::string_view key : {"value", "value_floats"}) {
    const auto it = source.tensors.find(key);
    if (it != source.tensors.end()) return it->second;
  }
  if (source.attr.contains("value_float")) {
    return make_floats({}, {real_attr(source, "value_float", 0)});
  }
  if (source.attr.contains("value_int")) {
    return make_ints(integer_type(64, true, {}), {integer_attr(source, "value_int", 0)});
  }
  if (const std::vector<int64_t>* values = integers_attr(source, "value_ints")) {
    return make_ints(integer_type(64, true, {static_cast<int64_t>(values->size())}), *values);
  }
  throw Error("has no value that is floats or integers");
}

Tensor filled(const OnnxNode& source) {
  expect_operands(source, 1, 1);
  const Shape shape = integers_operand(source, 0, "the shape");
  constexpr int64_t kMostElements = int64_t{1} << 24;
  const auto count = checked_element_count(shape);
  if (!count || *count > kMostElements) {
    throw Error(fmt::format("the shape is {}, expected at most {} elements", to_string(shape),
                            kMostElements));
  }
  Tensor value = make_zero(float_type({1}));
  if (const auto it = source.tensors.find("value"); it != source.tensors.end()) value = it->second;
  if (value.count() != 1) throw Error("its value is not one element");
  Tensor out = make_zero(value.type);
  out.type.shape = shape;
  out.ints.assign(value.type.is_float ? 0 : *count, value.type.is_float ? 0 : value.ints[0]);
  out.reals.assign(value.type.is_float ? *count : 0, value.type.is_float ? value.reals[0] : 0);
  return out;
}

Tensor shape_of(const OnnxNode& source) {
  expect_operands(source, 1, 1);
  const Shape& shape = source.in[0].type().shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const auto place = [&](std::string_view key, int64_t absent) {
    const int64_t at = integer_attr(source, key, absent);
    return std::clamp<int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank);
  };
  const int64_t start = place("start", 0), end = std::max(start, place("end", rank));
  return make_ints(integer_type(64, true, {end - start}),
                   {shape.begin() + start, shape.begin() + end});
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  Tensor value = source.type == "Constant"          ? constant_attr(source)
                 : source.type == "ConstantOfShape" ? filled(source)
                                                    : shape_of(source);
  return {
      {&graph.add(require_op("constant"), {}, source.name, {}, {{"value", std::move(value)}}), 0}};
}

std::vector<Type> infer(const Node& node) {
  const Tensor* value = node.tensor("value");
  if (!node.in.empty() || value == nullptr)
    throw Error("a constant has no operands and one tensor 'value'");
  return {value->type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const>) {
  return {*node.tensor("value")};
}

}  // namespace

extern const Op op_constant;
const Op op_constant{.name = "constant",
                     .doc = "a tensor known at compile time",
                     .kind = Op::Kind::constant,
                     .onnx = kOnnx,
                     .import = import,
                     .infer = infer,
                     .eval = eval};

}  // namespace foldstream
