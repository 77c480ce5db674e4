// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/source/reduce.h"
#include "src/source/window_layers.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"ReduceMean"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_reduction("reduce_mean", source, graph);
}

// Sums in double, rounds the sum and then the mean.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = reduce(node, *in[0], 0, [](double a, double b) { return a + b; });
  const auto count = static_cast<float>(reduced_elements(node));
  for (double& v : out.reals) v = static_cast<float>(v) / count;
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) { reduction_to_onnx(node, sink, "ReduceMean"); }

void lower(const Node& node, Lowering& lowering) {
  lower_reduction(lowering, node.integers("axes", {}), true);
}

}  // namespace

extern const Op op_reduce_mean;
const Op op_reduce_mean{.name = "reduce_mean",
                        .doc = "mean over axes, summed in double and rounded once",
                        .onnx = kOnnx,
                        .import = import,
                        .to_onnx = to_onnx,
                        .infer = infer_reduction,
                        .eval = eval,
                        .lower = lower};

}  // namespace foldstream
