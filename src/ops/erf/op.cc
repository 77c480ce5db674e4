// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "src/source/expression.h"
#include "src/source/unary.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Erf", "Gelu"};

// In double, rounded once; whether libm's erf keeps the order of every two floats isn't known.
float apply(float x) { return static_cast<float>(std::erf(static_cast<double>(x))); }

// x * 0.5 * (1 + f(x)), where f is erf(x / sqrt(2)) or tanh(sqrt(2 / pi) * (x + 0.044715 x^3)).
std::vector<Value> import_gelu(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const std::string approximate = text_attr(source, "approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    throw Error(fmt::format("approximate = '{}'", approximate), "legal are 'none' and 'tanh'");
  }
  const Expression with(source, graph);
  const Value x = source.in[0];
  Value f;
  if (approximate == "none") {
    const Value root = with.number(std::numbers::sqrt2, "root");
    f = with.apply("erf", {with.apply("div", {x, root}, "scaled")}, "erf");
  } else {
    const Value cube = with.apply("power", {x, with.number(3, "exponent")}, "cube");
    const Value third = with.apply("mul", {cube, with.number(0.044715, "factor")}, "third");
    const Value sum = with.apply("add", {x, third}, "sum");
    const Value root = with.number(std::sqrt(2 * std::numbers::inv_pi), "root");
    f = with.apply("tanh", {with.apply("mul", {sum, root}, "scaled")}, "tanh");
  }
  const Value half = with.apply("mul", {x, with.number(0.5, "half")}, "halved");
  return {with.apply("mul", {half, with.apply("add", {f, with.number(1, "one")}, "share")})};
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type == "Gelu") return import_gelu(source, graph);
  return import_as("erf", source, graph, 1);
}

constexpr Unary kErf{"erf", "Erf", "the error function", apply, 0};

}  // namespace

extern const Op op_erf;
constinit const Op op_erf = unary_op<kErf>(kOnnx, import);

}  // namespace foldstream
