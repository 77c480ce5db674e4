// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "src/source/expression.h"
#include "src/source/unary.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Sigmoid", "Swish"};

// In double, rounded once; whether libm's exp keeps the order of every two floats isn't known.
float apply(float x) { return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(x)))); }

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Sigmoid") return import_as("sigmoid", source, graph, 1);
  // x * sigmoid(alpha * x)
  expect_operands(source, 1, 1);
  const Expression with(source, graph);
  const Value x = source.in[0];
  const double alpha = real_attr(source, "alpha", 1);
  const Value scaled =
      alpha == 1 ? x : with.apply("mul", {x, with.number(alpha, "alpha")}, "scaled");
  return {with.apply("mul", {x, with.apply("sigmoid", {scaled}, "sigmoid")})};
}

constexpr Unary kSigmoid{"sigmoid", "Sigmoid", "1 / (1 + exp(-x))", apply, 0};

}  // namespace

extern const Op op_sigmoid;
constinit const Op op_sigmoid = unary_op<kSigmoid>(kOnnx, import);

}  // namespace foldstream
