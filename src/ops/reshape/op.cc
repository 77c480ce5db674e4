// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Reshape",   "Flatten",  "Squeeze",
                                      "Unsqueeze", "Identity", "Dropout"};

Shape reshaped(const OnnxNode& source, const Shape& from) {
  expect_operands(source, 1, 2);
  const std::vector<int64_t>* attr = integers_attr(source, "shape");  // before operator set 5
  Shape shape = attr != nullptr ? *attr : integers_operand(source, 1, "the shape");
  const bool zero_is_zero = integer_attr(source, "allowzero", 0) != 0;
  int64_t known = 1;
  size_t open = shape.size();
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !zero_is_zero) {
      if (d >= from.size()) throw Error(fmt::format("the shape copies missing axis {}", d));
      shape[d] = from[d];
    }
    if (shape[d] == -1 && open == shape.size()) {
      open = d;
    } else if (shape[d] < 0) {
      throw Error(fmt::format("the shape is {}", to_string(shape)));
    }
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d == open) continue;
    const auto product = checked_element_count({known, shape[d]});
    if (!product) throw Error(fmt::format("the shape is {}", to_string(shape)));
    known = *product;
  }
  if (open < shape.size()) shape[open] = known == 0 ? 0 : element_count(from) / known;
  return shape;
}

// The axes of Squeeze and Unsqueeze, an attribute until operator set 12 and an operand after.
std::optional<std::vector<int64_t>> axes_of(const OnnxNode& source) {
  expect_operands(source, 1, 2);
  if (source.has(1)) return integers_operand(source, 1, "the axes");
  const std::vector<int64_t>* attr = integers_attr(source, "axes");
  return attr == nullptr ? std::nullopt : std::optional(*attr);
}

std::set<int64_t> axis_set(const std::vector<int64_t>& axes, size_t rank) {
  std::set<int64_t> result;
  for (const int64_t axis : axes) {
    if (!result.insert(checked_axis(axis, rank)).second) {
      throw Error(fmt::format("axis {} is named twice", axis));
    }
  }
  return result;
}

Shape squeezed(const OnnxNode& source, const Shape& from) {
  const auto axes = axes_of(source);
  const std::set<int64_t> named = axis_set(axes.value_or(std::vector<int64_t>()), from.size());
  Shape shape;
  for (size_t d = 0; d < from.size(); ++d) {
    const bool drop = axes ? named.contains(static_cast<int64_t>(d)) : from[d] == 1;
    if (!drop) shape.push_back(from[d]);
    if (drop && from[d] != 1)
      throw Error(fmt::format("axis {} of {} is not 1", d, to_string(from)));
  }
  return shape;
}

Shape unsqueezed(const OnnxNode& source, const Shape& from) {
  const auto axes = axes_of(source);
  if (!axes) throw Error("names no axes");
  const size_t rank = from.size() + axes->size();
  const std::set<int64_t> named = axis_set(*axes, rank);
  Shape shape;
  auto next = from.begin();
  for (size_t d = 0; d < rank; ++d) {
    shape.push_back(named.contains(static_cast<int64_t>(d)) ? 1 : *next++);
  }
  return shape;
}

Shape flattened(const OnnxNode& source, const Shape& from) {
  expect_operands(source, 1, 1);
  int64_t axis = integer_attr(source, "axis", 1);
  if (axis != static_cast<int64_t>(from.size())) axis = checked_axis(axis, from.size());
  return {element_count({from.begin(), from.begin() + axis}),
          element_count({from.begin() + axis, from.end()})};
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Identity" || source.type == "Dropout") {
    expect_operands(source, 1, source.type == "Dropout" ? 3 : 1);
    if (source.uses(1)) throw Error("its mask is used", "export the model in evaluation mode");
    if (source.has(2) && scalar_operand(source, 2, "training_mode") != 0) {
      throw Error("is in training mode", "export the model in evaluation mode");
    }
    return {source.in[0]};
  }
  if (!source.has(0)) throw Error("operand 0 is missing");
  const Shape& from = source.in[0].type().shape;
  Shape shape = source.type == "Reshape"   ? reshaped(source, from)
                : source.type == "Flatten" ? flattened(source, from)
                : source.type == "Squeeze" ? squeezed(source, from)
                                           : unsqueezed(source, from);
  return {{&graph.add(require_op("reshape"), {source.in[0]}, source.name,
                      {{"shape", std::move(shape)}}),
           0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  Shape shape = node.integers("shape", {});
  if (checked_element_count(shape) != type.count()) {
    throw Error(fmt::format("{} does not fit into {}", to_string(type), to_string(shape)));
  }
  type.shape = std::move(shape);
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = *in[0];
  out.type.shape = node.out[0].shape;
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const auto rank = static_cast<int64_t>(node.out[0].shape.size());
  sink.node(
      "", "Reshape",
      {sink.input(0),
       sink.index_constant(make_ints(integer_type(64, true, {rank}), node.out[0].shape), "shape")},
      {sink.output(0)});
}

// The axis of `to` along which every element's channel of `from` is decided, and the channel of
// each of its entries.
std::optional<std::pair<int, std::vector<int64_t>>> moved_axis(const Shape& from, int axis,
                                                               const Shape& to) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < from.size(); ++d) inner *= from[d];
  const int64_t count = element_count(from);
  for (size_t d = 0; d < to.size(); ++d) {
    int64_t step = 1;
    for (size_t e = d + 1; e < to.size(); ++e) step *= to[e];
    std::vector<int64_t> channel(to[d], -1);
    bool decided = true;
    for (int64_t i = 0; i < count && decided; ++i) {
      int64_t& entry = channel[i / step % to[d]];
      const int64_t c = i / inner % from[axis];
      decided = entry < 0 || entry == c;
      entry = c;
    }
    if (decided) return {{static_cast<int>(d), std::move(channel)}};
  }
  return std::nullopt;
}

template <class T>
void spread(std::vector<T>& values, const std::vector<int64_t>& channel) {
  if (values.size() == 1) return;
  std::vector<T> moved;
  for (const int64_t c : channel) moved.push_back(values.at(c));
  values = std::move(moved);
}

void lower(const Node& node, Lowering& lowering) {
  Traced result = lowering.in(0);
  const Shape& to = node.out[0].shape;
  if (result.axis >= 0) {
    auto moved = moved_axis(result.shape, result.axis, to);
    if (!moved) {
      return lowering.keep("it spreads channels with scales of their own over several axes",
                           "reshape after a quantizer with one scale");
    }
    result.axis = moved->first;
    const auto channel = std::make_shared<const std::vector<int64_t>>(std::move(moved->second));
    spread(result.scale, *channel);
    spread(result.bias, *channel);
    spread(result.lo, *channel);
    spread(result.hi, *channel);
    for (Step& step : result.steps) {
      step.move_channels([channel](int64_t c) { return (*channel)[c]; });
    }
  }
  if (result.codes) result.codes->type.shape = to;
  if (result.real) result.real->type.shape = to;
  if (result.is_integer() && result.layout.natural()) {
    // Views of views are views of the first; Squeeze undoes Unsqueeze.
    Value first = result.q;
    while (first.node->op == node.op) first = first.node->in[0];
    result.q = first.type().shape == to
                   ? first
                   : Value{&lowering.target().add(*node.op, {first}, node.name, node.attr), 0};
  }
  lowering.set(0, std::move(result));
}

}  // namespace

extern const Op op_reshape;
const Op op_reshape{.name = "reshape",
                    .doc = "the same elements in the same order under another shape",
                    .kind = Op::Kind::view,
                    .onnx = kOnnx,
                    .import = import,
                    .to_onnx = to_onnx,
                    .infer = infer,
                    .eval = eval,
                    .lower = lower};

}  // namespace foldstream
