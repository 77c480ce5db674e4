// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include "src/ir/onnx_node.h"
#include "src/source/elementwise.h"
#include "src/source/float_kernel.h"
#include "src/source/import.h"
#include "src/source/joins.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Mul", "Neg"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.type != "Neg") return import_as("mul", source, graph, 2);
  expect_operands(source, 1, 1);
  Type type = source.in[0].type();
  type.shape.clear();
  Tensor minus_one = make_zero(type);
  if (type.is_float) {
    minus_one.reals[0] = -1;
  } else {
    minus_one.ints[0] = type.is_signed ? -1 : type.max();
  }
  Node& factor = graph.add(require_op("constant"), {}, source.name + "_factor", {},
                           {{"value", std::move(minus_one)}});
  return {{&graph.add(require_op("mul"), {source.in[0], {&factor, 0}}, source.name), 0}};
}

struct Times {
  static float apply(float a, float b) { return a * b; }
  float operator()(float a, float b) const { return apply(a, b); }
};

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return eval_binary(node, in, Times::apply, [](int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  });
}

void to_onnx(const Node&, OnnxSink& sink) {
  sink.node("", "Mul", {sink.input(0), sink.input(1)}, {sink.output(0)});
}

void lower(const Node&, Lowering& lowering) {
  lower_binary(lowering,
               {.apply = Times::apply,
                .direction = [](double k, bool) { return k < 0 ? -1 : 1; },
                .affine = [](double k, bool) -> std::optional<std::pair<double, double>> {
                  return {{k, 0.0}};
                }},
               [](Lowering& both) { lower_product(both); });
}

}  // namespace

extern const Op op_mul;
const Op op_mul{.name = "mul",
                .doc = "a * b",
                .onnx = kOnnx,
                .import = import,
                .to_onnx = to_onnx,
                .infer = infer_binary,
                .eval = eval,
                .lower = lower,
                .kernels = &kBinaryKernels<Times>};

}  // namespace foldstream
