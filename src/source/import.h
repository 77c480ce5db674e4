// SPDX-License-Identifier: Apache-2.0
// What the imports of source operators share: checks of an ONNX node's operands and attributes.
// Each throws Error with what was found and expected; the reader adds the node.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/ir/onnx_node.h"

namespace foldstream {

void expect_operands(const OnnxNode& source, size_t least, size_t most);

int64_t integer_attr(const OnnxNode& source, std::string_view key, int64_t absent);
double real_attr(const OnnxNode& source, std::string_view key, double absent);
std::string text_attr(const OnnxNode& source, std::string_view key, std::string_view absent);
// Null when absent.
const std::vector<int64_t>* integers_attr(const OnnxNode& source, std::string_view key);

// A constant operand; `what` names it in the error when it is missing or computed.
const Tensor& constant_operand(const OnnxNode& source, size_t port, std::string_view what);
const Tensor& float_operand(const OnnxNode& source, size_t port, std::string_view what);
std::vector<int64_t> integers_operand(const OnnxNode& source, size_t port, std::string_view what);
// A constant of one element.
double scalar_operand(const OnnxNode& source, size_t port, std::string_view what);

// `axis` counted from the front; throws Error when it isn't one of `rank` axes.
int64_t checked_axis(int64_t axis, size_t rank);

// Imports a node that maps one to one: its operands, no attributes, one result.
std::vector<Value> import_as(std::string_view op, const OnnxNode& source, Graph& graph,
                             size_t operands);

// Imports a node of any number of operands as nodes of two.
std::vector<Value> import_pairwise(std::string_view op, const OnnxNode& source, Graph& graph);

}  // namespace foldstream
