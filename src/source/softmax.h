// SPDX-License-Identifier: Apache-2.0
// What softmax and its logarithm share: everything but the last formula.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/onnx_node.h"

namespace foldstream {

// Imports as `op` with attribute `axis`. Before version 13 every axis from `axis` on was one.
std::vector<Value> import_softmax(std::string_view op, const OnnxNode& source, Graph& graph);

std::vector<Type> infer_softmax(const Node& node);

// In double, rounded once: `result` of an element less the greatest of its row, and of the row's
// sum of exponentials of those.
std::vector<Tensor> eval_softmax(const Node& node, std::span<const Tensor* const> in,
                                 double (*result)(double shifted, double sum));

}  // namespace foldstream
