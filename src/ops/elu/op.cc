// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <cmath>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Elu", "Selu"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  // ONNX's own numbers.
  const bool scaled = source.type == "Selu";
  const double alpha = real_attr(source, "alpha", scaled ? 1.67326319217681884765625 : 1.0);
  const double gamma = scaled ? real_attr(source, "gamma", 1.05070102214813232421875) : 1.0;
  return {{&graph.add(require_op("elu"), {source.in[0]}, source.name,
                      {{"alpha", alpha}, {"gamma", gamma}}),
           0}};
}

// In double, rounded once.
float apply(float x, double alpha, double gamma) {
  return static_cast<float>(gamma * (x > 0 ? x : alpha * std::expm1(static_cast<double>(x))));
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const double alpha = node.real("alpha", 1), gamma = node.real("gamma", 1);
  Tensor out = make_zero(node.out[0]);
  for (size_t i = 0; i < out.reals.size(); ++i) {
    out.reals[i] = apply(static_cast<float>(in[0]->reals[i]), alpha, gamma);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const double alpha = node.real("alpha", 1), gamma = node.real("gamma", 1);
  std::map<std::string, Attr, std::less<>> attributes = {{"alpha", alpha}};
  if (gamma != 1) attributes["gamma"] = gamma;
  sink.node("", gamma != 1 ? "Selu" : "Elu", {sink.input(0)}, {sink.output(0)},
            std::move(attributes));
}

// Whether libm's exp keeps the order of every two floats isn't known.
void lower(const Node& node, Lowering& lowering) {
  Step step;
  step.apply = [alpha = node.real("alpha", 1), gamma = node.real("gamma", 1)](float x, int64_t) {
    return apply(x, alpha, gamma);
  };
  step.direction = [](int64_t) { return 0; };
  lowering.step(0, -1, std::move(step));
}

}  // namespace

extern const Op op_elu;
const Op op_elu{.name = "elu",
                .doc = "gamma * (x where it is positive, alpha * (exp(x) - 1) elsewhere)",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_unary,
                .eval = eval,
                .lower = lower};

}  // namespace foldstream
