// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Sign"};

float apply(float x) { return x > 0 ? 1.0F : x < 0 ? -1.0F : x == 0 ? 0.0F : x; }

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_as("sign", source, graph, 1);
}

std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) {
  return eval_unary(in, apply);
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Sign", {sink.input(0)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) { lower_unary(lowering, apply, 1); }

}  // namespace

extern const Op op_sign;
const Op op_sign{.name = "sign",
                 .doc = "-1, 0 or 1",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer_unary,
                 .eval = eval,
                 .lower = lower};

}  // namespace foldstream
