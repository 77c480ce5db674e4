// SPDX-License-Identifier: Apache-2.0
// What reductions share: attributes `axes` and `keepdims`, and the loop.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/onnx_node.h"

namespace foldstream {

// axes: an attribute or an operand; absent, all of them.
std::vector<Value> import_reduction(std::string_view op, const OnnxNode& source, Graph& graph);

std::vector<Type> infer_reduction(const Node& node);

// Every element of the result: the fold of f over those that fall together, from `start`.
Tensor reduce(const Node& node, const Tensor& in, double start, double (*f)(double, double));
// How many fall together.
int64_t reduced_elements(const Node& node);

void reduction_to_onnx(const Node& node, OnnxSink& sink, std::string_view type);

}  // namespace foldstream
