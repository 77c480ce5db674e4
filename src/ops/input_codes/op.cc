// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Type code_type(const Node& node) {
  return integer_type(static_cast<int>(node.integer("bits")), node.integer("signed", 0) != 0,
                      node.in_type(0).shape);
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const int64_t bits = node.integer("bits");
  if (bits < 1 || bits > 16) {
    throw Error(fmt::format("{} bits for the codes of an input", bits), "legal are 1 to 16");
  }
  if (!(node.real("divisor", 1) > 0) || !std::isfinite(node.real("divisor", 1))) {
    throw Error("the divisor of an input must be positive and finite");
  }
  return {code_type(node)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Type type = code_type(node);
  const double divisor = node.real("divisor", 1), offset = node.real("offset", 0);
  Tensor out = make_zero(type);
  for (int64_t i = 0; i < type.count(); ++i) {
    const double x = in[0]->reals[i];
    const double code = std::nearbyint((x - offset) * divisor);
    if (!(code >= static_cast<double>(type.min()) && code <= static_cast<double>(type.max())) ||
        static_cast<float>(code / divisor + offset) != static_cast<float>(x)) {
      throw Error(
          fmt::format("element {} is {}, which is not code / {} + {} with a code of type {}", i, x,
                      divisor, offset, element_name(type)),
          "give inputs in the format that was declared at build, or build with another input "
          "format");
    }
    out.ints[i] = static_cast<int64_t>(code);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Tensor divisor = make_floats({}, {node.real("divisor", 1)}),
               offset = make_floats({}, {node.real("offset", 0)});
  const std::string shifted = sink.temporary("shifted"), scaled = sink.temporary("scaled");
  sink.node("", "Sub", {sink.input(0), sink.constant(offset, "offset")}, {shifted});
  sink.node("", "Mul", {shifted, sink.constant(divisor, "divisor")}, {scaled});
  sink.node("", "Round", {scaled}, {sink.output(0)});
}

}  // namespace

extern const Op op_input_codes;
const Op op_input_codes{
    .name = "input_codes",
    .doc = "the integers behind a float input of declared format: x = code / divisor + offset",
    .kind = Op::Kind::edge,
    .to_onnx = to_onnx,
    .infer = infer,
    .eval = eval};

}  // namespace foldstream
