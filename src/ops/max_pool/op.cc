// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <algorithm>

#include "src/source/import.h"
#include "src/source/pooling.h"
#include "src/source/window_layers.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"MaxPool", "GlobalMaxPool", "channels_last:MaxPool",
                                      "qonnx:MaxPoolNHWC"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  if (source.uses(1)) throw Error("its indices are used", "only the maxima are supported");
  if (integer_attr(source, "storage_order", 0) != 0) throw Error("its storage_order is not 0");
  std::vector<Value> results =
      import_pool("max_pool", source, source.type == "GlobalMaxPool", {}, graph);
  results.resize(source.outputs, results[0]);
  return results;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {eval_pool(node, *in[0], [](const std::vector<double>& elements, const auto&) {
    return *std::max_element(elements.begin(), elements.end());
  })};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "MaxPool", {sink.input(0)}, {sink.output(0)}, onnx_window(pool_window(node)));
}

void lower(const Node& node, Lowering& lowering) { lower_max_pool(lowering, pool_window(node)); }

}  // namespace

extern const Op op_max_pool;
const Op op_max_pool{.name = "max_pool",
                     .doc = "the greatest element of each window",
                     .onnx = kOnnx,
                     .import = import,
                     .to_onnx = to_onnx,
                     .infer = infer_pool,
                     .eval = eval,
                     .lower = lower};

}  // namespace foldstream
