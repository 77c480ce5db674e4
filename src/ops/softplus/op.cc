// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/expression.h"
#include "src/source/import.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Softplus", "Mish"};

// In double, rounded once, and without an exp that overflows.
float apply(float x) {
  const double wide = x;
  return static_cast<float>(std::max(wide, 0.0) + std::log1p(std::exp(-std::abs(wide))));
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Softplus") return import_as("softplus", source, graph, 1);
  expect_operands(source, 1, 1);
  const Expression with(source, graph);
  const Value x = source.in[0];
  const Value softplus = with.apply("softplus", {x}, "softplus");
  return {with.apply("mul", {x, with.apply("tanh", {softplus}, "tanh")})};
}

std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) {
  return eval_unary(in, apply);
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Softplus", {sink.input(0)}, {sink.output(0)});
}

// Whether libm's exp keeps the order of every two floats isn't known.
void lower(const Node&, Lowering& lowering) { lower_unary(lowering, apply, 0); }

}  // namespace

extern const Op op_softplus;
const Op op_softplus{.name = "softplus",
                     .doc = "log(1 + exp(x))",
                     .onnx = kOnnx,
                     .import = import,
                     .to_onnx = to_onnx,
                     .infer = infer_unary,
                     .eval = eval,
                     .lower = lower};

}  // namespace foldstream
