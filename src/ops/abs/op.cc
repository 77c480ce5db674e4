// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Abs"};

float apply(float x) { return std::abs(x); }

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_as("abs", source, graph, 1);
}

std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) {
  return eval_unary(in, apply);
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Abs", {sink.input(0)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) { lower_unary(lowering, apply, 0); }

}  // namespace

extern const Op op_abs;
const Op op_abs{.name = "abs",
                .doc = "magnitude",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_unary,
                .eval = eval,
                .lower = lower};

}  // namespace foldstream
