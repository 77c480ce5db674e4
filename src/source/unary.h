// SPDX-License-Identifier: Apache-2.0
// Operators that are a function of one float, without attributes: all but the function follows.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/onnx_node.h"
#include "src/ir/op.h"
#include "src/source/elementwise.h"
#include "src/source/float_kernel.h"
#include "src/source/import.h"

namespace foldstream {

struct Unary {
  std::string_view op, onnx, doc;
  float (*apply)(float x);
  int direction;  // as in Step
};

template <const Unary& kUnary>
struct UnaryParts {
  static constexpr std::string_view kOnnx[] = {kUnary.onnx};

  static std::vector<Value> import(const OnnxNode& source, Graph& graph) {
    return import_as(kUnary.op, source, graph, 1);
  }
  static std::vector<Tensor> eval(const Node&, std::span<const Tensor* const> in) {
    return eval_unary(in, kUnary.apply);
  }
  static void to_onnx(const Node&, OnnxSink& sink) {
    sink.node("", std::string(kUnary.onnx), {sink.input(0)}, {sink.output(0)});
  }
  static void lower(const Node&, Lowering& lowering) {
    lower_unary(lowering, kUnary.apply, kUnary.direction);
  }
};

// The operator; `onnx` and `import` of one that reads other nodes than its own, too.
template <const Unary& kUnary>
constexpr Op unary_op(std::span<const std::string_view> onnx = UnaryParts<kUnary>::kOnnx,
                      std::vector<Value> (*import)(const OnnxNode& source,
                                                   Graph& graph) = UnaryParts<kUnary>::import) {
  using Parts = UnaryParts<kUnary>;
  return {.name = kUnary.op,
          .doc = kUnary.doc,
          .onnx = onnx,
          .import = import,
          .to_onnx = Parts::to_onnx,
          .infer = infer_unary,
          .eval = Parts::eval,
          .lower = Parts::lower,
          .kernels = &kUnaryKernels<kUnary.apply>};
}

}  // namespace foldstream
