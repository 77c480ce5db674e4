// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <cmath>

#include "src/source/softmax.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"LogSoftmax"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_softmax("log_softmax", source, graph);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_softmax(node, in, [](double shifted, double sum) { return shifted - std::log(sum); });
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "LogSoftmax", {sink.input(0)}, {sink.output(0)}, {{"axis", node.integer("axis")}});
}

}  // namespace

extern const Op op_log_softmax;
const Op op_log_softmax{.name = "log_softmax",
                        .doc = "x - log(sum(exp(x))) along an axis",
                        .onnx = kOnnx,
                        .import = import,
                        .to_onnx = to_onnx,
                        .infer = infer_softmax,
                        .eval = eval};

}  // namespace foldstream
