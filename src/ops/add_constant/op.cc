// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

int64_t channels(const Node& node) { return node.in_type(0).shape.back(); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand with channels along its last axis");
  }
  const Tensor* c = node.tensor("c");
  const Type& in = node.in_type(0);
  if (c == nullptr || c->type.is_float ||
      (c->type.shape != Shape{1} && c->type.shape != Shape{channels(node)})) {
    throw Error(fmt::format("constants 'c' must be integers of shape [{}] or [1]", channels(node)));
  }
  if (in.bits > 31 || c->type.bits > 31) {
    throw Error(fmt::format("an operand of {} bits and constants of {}", in.bits, c->type.bits),
                "legal are up to 31 bits each");
  }
  int64_t lo = INT64_MAX, hi = INT64_MIN;
  for (int64_t value : c->ints) {
    const auto [least, most] = std::minmax(in.min() + value, in.max() + value);
    lo = std::min(lo, least), hi = std::max(hi, most);
  }
  return {type_for_range(lo, hi, in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const std::vector<int64_t>& c = node.tensor("c")->ints;
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = in[0]->ints[i] + c[i % c.size()];
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Add", {sink.input(0), sink.constant(*node.tensor("c"), "constants")},
            {sink.output(0)});
}

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(channels(node))}}; }

Ports ports(const Node& node) {
  const int64_t pe = folding(node, "pe", channels(node), "channels");
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family) {
  const int64_t pe = folding(node, "pe", channels(node), "channels");
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / pe, 1, 1}}}}};
  finish_rhythm(node, 1, 1, rhythm);
  return rhythm;
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& c = *node.tensor("c");
  return {{fmt::format("param_constant_{}b", c.type.bits), c.count()}};
}

}  // namespace

extern const Op op_add_constant;
const Op op_add_constant{.name = "add_constant",
                         .doc = "each element plus the constant of its channel",
                         .kind = Op::Kind::hardware,
                         .to_onnx = to_onnx,
                         .infer = infer,
                         .eval = eval,
                         .folds = folds,
                         .ports = ports,
                         .rhythm = rhythm,
                         .counts = counts,
                         .finn_name = "ChannelwiseOp"};

}  // namespace foldstream
