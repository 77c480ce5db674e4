// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Round", "Floor", "Ceil"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  return {
      {&graph.add(require_op("round"), {source.in[0]}, source.name, {{"mode", source.type}}), 0}};
}

float half_even(float x) { return std::nearbyint(x); }
float floor(float x) { return std::floor(x); }
float ceil(float x) { return std::ceil(x); }

// Null for a mode that there isn't.
auto function_of(const Node& node) -> float (*)(float) {
  const std::string mode = node.text("mode", "");
  return mode == "Round" ? half_even : mode == "Floor" ? floor : mode == "Ceil" ? ceil : nullptr;
}

std::vector<Type> infer(const Node& node) {
  if (function_of(node) == nullptr) {
    throw Error(fmt::format("mode '{}'", node.text("mode", "")), "legal are Round, Floor and Ceil");
  }
  return infer_unary(node);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_unary(in, function_of(node));
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", node.text("mode", ""), {sink.input(0)}, {sink.output(0)});
}

void lower(const Node& node, Lowering& lowering) { lower_unary(lowering, function_of(node), 1); }

}  // namespace

extern const Op op_round;
const Op op_round{.name = "round",
                  .doc = "to an integer: half to even, down or up",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower};

}  // namespace foldstream
