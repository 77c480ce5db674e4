// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/float_kernel.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Div"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  return import_as("div", source, graph, 2);
}

struct Quotient {
  static float apply(float a, float b) { return a / b; }
  float operator()(float a, float b) const { return apply(a, b); }
};

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_binary(node, in, Quotient::apply, [](int64_t a, int64_t b) -> int64_t {
    if (b == 0) throw Error("an integer is divided by zero");
    return b == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : a / b;
  });
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Div", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) {
  lower_binary(
      lowering,
      {.apply = Quotient::apply,
       .direction = [](double k, bool flipped) { return flipped || k == 0 ? 0
                                                        : k < 0           ? -1
                                                                          : 1; },
       .affine = [](double k, bool flipped) -> std::optional<std::pair<double, double>> {
         if (flipped || k == 0) return std::nullopt;
         return {{1 / k, 0.0}};
       }});
}

}  // namespace

extern const Op op_div;
const Op op_div{.name = "div",
                .doc = "a / b; integers truncate",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_binary,
                .eval = eval,
                .lower = lower,
                .kernels = &kBinaryKernels<Quotient>};

}  // namespace foldstream
