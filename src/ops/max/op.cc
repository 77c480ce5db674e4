// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/import.h"
#include "src/source/joins.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Max"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_pairwise("max", source, graph);
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_binary(
      node, in, [](float a, float b) { return std::max(a, b); },
      [](int64_t a, int64_t b) { return std::max(a, b); });
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Max", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) {
  lower_binary(lowering,
               {.apply = [](float a, float b) { return std::max(a, b); },
                .direction = [](double, bool) { return 1; },
                .affine = [](double, bool) -> std::optional<std::pair<double, double>> {
                  return std::nullopt;
                }},
               [](Lowering& both) { lower_extreme(both, "max"); });
}

}  // namespace

extern const Op op_max;
const Op op_max{.name = "max",
                .doc = "the greater of two operands",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_binary,
                .eval = eval,
                .lower = lower};

}  // namespace foldstream
