// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/float_kernel.h"
#include "src/source/import.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Relu"};

float apply(float x) { return x < 0 ? 0.0F : x; }

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_as("relu", source, graph, 1);
}

std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) {
  return eval_unary(in, apply);
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Relu", {sink.input(0)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) { lower_unary(lowering, apply, 1); }

}  // namespace

extern const Op op_relu;
const Op op_relu{.name = "relu",
                 .doc = "max(x, 0)",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer_unary,
                 .eval = eval,
                 .lower = lower,
                 .kernels = &kUnaryKernels<apply>};

}  // namespace foldstream
