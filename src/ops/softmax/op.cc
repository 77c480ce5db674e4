// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <cmath>

#include "src/source/softmax.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Softmax"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_softmax("softmax", source, graph);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_softmax(node, in, [](double shifted, double sum) { return std::exp(shifted) / sum; });
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Softmax", {sink.input(0)}, {sink.output(0)}, {{"axis", node.integer("axis")}});
}

}  // namespace

extern const Op op_softmax;
const Op op_softmax{.name = "softmax",
                    .doc = "exp(x) / sum(exp(x)) along an axis",
                    .onnx = kOnnx,
                    .import = import,
                    .to_onnx = to_onnx,
                    .infer = infer_softmax,
                    .eval = eval};

}  // namespace foldstream
