// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <algorithm>
#include <limits>

#include "src/source/reduce.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"ReduceMax"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_reduction("reduce_max", source, graph);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {reduce(node, *in[0], -std::numeric_limits<double>::infinity(),
                 [](double a, double b) { return std::max(a, b); })};
}

void to_onnx(const Node& node, OnnxSink& sink) { reduction_to_onnx(node, sink, "ReduceMax"); }

}  // namespace

extern const Op op_reduce_max;
const Op op_reduce_max{.name = "reduce_max",
                       .doc = "greatest element over axes",
                       .onnx = kOnnx,
                       .import = import,
                       .to_onnx = to_onnx,
                       .infer = infer_reduction,
                       .eval = eval};

}  // namespace foldstream
