// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/ir/permute.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<int64_t> perm(const Node& node) { return node.integers("perm", {}); }

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  Type type = node.in_type(0);
  type.shape = permuted_shape(type.shape, perm(node));
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {permuted(*in[0], perm(node))};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Transpose", {sink.input(0)}, {sink.output(0)}, {{"perm", perm(node)}});
}

}  // namespace

extern const Op op_shuffle;
const Op op_shuffle{.name = "shuffle",
                    .doc = "axes of an integer tensor in another order",
                    .kind = Op::Kind::hardware,
                    .to_onnx = to_onnx,
                    .infer = infer,
                    .eval = eval,
                    .finn_name = "Shuffle"};

}  // namespace foldstream
