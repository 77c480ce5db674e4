// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/expression.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Pow", "Sqrt"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Pow") return import_as("power", source, graph, 2);
  expect_operands(source, 1, 1);
  const Expression with(source, graph);
  return {with.apply("power", {source.in[0], with.number(0.5, "exponent")})};
}

float apply(float a, float b) {
  if (b == 0.5F) return std::sqrt(a);
  return std::pow(a, b);
}

std::vector<Type> infer(const Node& node) {
  std::vector<Type> types = infer_binary(node);
  if (!types[0].is_float) throw Error("takes floats");
  return types;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_binary(node, in, apply, nullptr);
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Pow", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

// Of negative numbers, or with exponents below 0, a power may fall.
void lower(const Node&, Lowering& lowering) {
  lower_binary(lowering, {.apply = apply,
                          .direction = [](double, bool) { return 0; },
                          .affine = [](double, bool) -> std::optional<std::pair<double, double>> {
                            return {};
                          }});
}

}  // namespace

extern const Op op_power;
const Op op_power{.name = "power",
                  .doc = "a to the power of b",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower};

}  // namespace foldstream
