// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/float_kernel.h"
#include "src/source/import.h"
#include "src/source/joins.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Sub"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_as("sub", source, graph, 2);
}

struct Minus {
  static float apply(float a, float b) { return a - b; }
  float operator()(float a, float b) const { return apply(a, b); }
};

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_binary(node, in, Minus::apply, [](int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  });
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Sub", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) {
  lower_binary(lowering,
               {.apply = Minus::apply,
                .direction = [](double, bool flipped) { return flipped ? -1 : 1; },
                .affine = [](double k, bool flipped) -> std::optional<std::pair<double, double>> {
                  if (flipped) return {{-1.0, k}};
                  return {{1.0, -k}};
                }},
               [](Lowering& both) { lower_sum(both, -1); });
}

}  // namespace

extern const Op op_sub;
const Op op_sub{.name = "sub",
                .doc = "a - b",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_binary,
                .eval = eval,
                .lower = lower,
                .kernels = &kBinaryKernels<Minus>};

}  // namespace foldstream
