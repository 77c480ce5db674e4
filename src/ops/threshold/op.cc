// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ir/thresholds.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

size_t channel_axis(const Node& node) {
  const auto rank = static_cast<int64_t>(node.in_type(0).shape.size());
  const int64_t axis = node.integer("axis", rank - 1);
  if (axis < 0 || axis >= rank) {
    throw Error(fmt::format("axis = {} of an operand with {} dimensions", axis, rank));
  }
  return static_cast<size_t>(axis);
}

int64_t channels(const Node& node) { return node.in_type(0).shape[channel_axis(node)]; }

// Elements in a row that share a channel.
int64_t inner(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin() + channel_axis(node) + 1, shape.end()));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  return {Thresholds(node, channels(node)).result(node.in_type(0).shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const int64_t count = channels(node), step = inner(node);
  const Thresholds thresholds(node, count);
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    out.ints[i] = thresholds.apply(i / step % count, in[0]->ints[i]);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  Thresholds(node, channels(node))
      .to_onnx(sink, sink.input(0), node.in_type(0).shape, channel_axis(node));
}

// Channels that one beat's lanes run over: the last axis, which all share when rows are equal.
int64_t foldable(const Node& node) { return node.in_type(0).shape.back(); }

std::vector<Fold> folds(const Node& node) { return {{"pe", divisors(foldable(node))}}; }

int64_t lanes(const Node& node) {
  if (node.tensor("t")->type.shape[0] > 1 && inner(node) > 1) {
    throw Error(fmt::format("{}: thresholds along axis {} of {}", describe(node),
                            channel_axis(node), to_string(node.in_type(0))),
                "hardware has channels along the last axis");
  }
  return folding(node, "pe", foldable(node), "channels");
}

Ports ports(const Node& node) {
  const int64_t pe = lanes(node);
  const Type &in = node.in_type(0), &out = node.out[0];
  return {.in = {{pe, in.bits, in.count() / pe}}, .out = {{pe, out.bits, out.count() / pe}}};
}

Rhythm rhythm(const Node& node, Family) {
  Rhythm rhythm{.frame = {{1, {{node.in_type(0).count() / lanes(node), 1, 1}}}}};
  finish_rhythm(node, 1, 1, rhythm);
  return rhythm;
}

std::map<std::string, int64_t> counts(const Node& node) {
  const Tensor& t = *node.tensor("t");
  return {{fmt::format("param_threshold_{}b", node.in_type(0).bits), t.count()}};
}

}  // namespace

extern const Op op_threshold;
const Op op_threshold{.name = "threshold",
                      .doc = "how many thresholds of its channel each element reaches",
                      .kind = Op::Kind::hardware,
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .folds = folds,
                      .ports = ports,
                      .rhythm = rhythm,
                      .counts = counts,
                      .finn_name = "Thresholding"};

}  // namespace foldstream
