// SPDX-License-Identifier: Apache-2.0
// Imports of nodes that stand for an expression of source operators, as ONNX defines its functions.
#pragma once

#include <string_view>
#include <vector>

#include "src/ir/onnx_node.h"

namespace foldstream {

class Expression {
 public:
  Expression(const OnnxNode& source, Graph& graph) : source_(source), graph_(graph) {}

  // `op` of these operands; the node that is the whole expression has no `part`.
  Value apply(std::string_view op, std::vector<Value> in, std::string_view part = "") const;
  // A constant float32.
  Value number(double value, std::string_view part) const;

 private:
  const OnnxNode& source_;
  Graph& graph_;
};

}  // namespace foldstream
