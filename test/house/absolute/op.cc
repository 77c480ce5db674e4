// SPDX-License-Identifier: Apache-2.0
// An operator that Foldstream doesn't have: the test of decision 0003 adds this folder to a copy of
// the tree, and nothing else.
#include "src/ir/op.h"

#include <algorithm>
#include <cstdlib>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand with channels along its last axis");
  }
  const Type& in = node.in_type(0);
  if (in.bits > 31) throw Error("an operand of more than 31 bits");
  return {type_for_range(0, std::max(-in.min(), in.max()), in.shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = std::abs(in[0]->ints[i]);
  return {std::move(out)};
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Abs", {sink.input(0)}, {sink.output(0)});
}

int64_t lanes(const Node& node) {
  return folding(node, "pe", node.in_type(0).shape.back(), "channels");
}

std::vector<Fold> folds(const Node& node) {
  return {{"pe", divisors(node.in_type(0).shape.back())}};
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

Cost cost(const Node& node, Family) {
  const Ports streams = ports(node);
  return {.lut = 2.0 * streams.out[0].width() + 12, .ff = 1.0 * streams.out[0].width() + 12};
}

Hardware emit(const Node& node, Family, const std::string&) {
  const int64_t queue = rhythm(node, Family::generic).queue;
  Hardware hardware;
  hardware.top = "fst_absolute";
  hardware.parameters = {{"Pe", lanes(node)},
                         {"InBits", node.in_type(0).bits},
                         {"OutBits", node.out[0].bits},
                         {"IsSigned", node.in_type(0).is_signed},
                         {"Depth", queue},
                         {"BlockRam", queue > kLutQueueDepth}};
  hardware.cells = {"fst_absolute", "fst_credit", "fst_queue"};
  return hardware;
}

}  // namespace

extern const Op op_absolute;
const Op op_absolute{.name = "absolute",
                     .doc = "the magnitude of each element",
                     .kind = Op::Kind::hardware,
                     .to_onnx = to_onnx,
                     .infer = infer,
                     .eval = eval,
                     .folds = folds,
                     .ports = ports,
                     .rhythm = rhythm,
                     .cost = cost,
                     .emit = emit};

}  // namespace foldstream
