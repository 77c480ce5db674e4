// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "src/source/expression.h"
#include "src/source/unary.h"

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

// Whether libm's exp keeps the order of every two floats isn't known.
constexpr Unary kSoftplus{"softplus", "Softplus", "log(1 + exp(x))", apply, 0};

}  // namespace

extern const Op op_softplus;
constinit const Op op_softplus = unary_op<kSoftplus>(kOnnx, import);

}  // namespace foldstream
