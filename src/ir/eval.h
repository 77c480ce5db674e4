// SPDX-License-Identifier: Apache-2.0
// Runs a graph by the meaning of its operators, one frame at a time: the float reference on a
// source graph, the integer graph after streamlining.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {

// One node, checked against the types that infer gave.
std::vector<Tensor> evaluate_node(const Node& node, std::span<const Tensor* const> in);

// Replaces a source node all of whose operands are constants by its value; true if it did.
// Quantizers stay: their codes are what hardware stores, and streamlining reads them from the node.
bool fold_constant(Node& node);

class Evaluator {
 public:
  explicit Evaluator(const Graph& graph);

  // Operands in the order of the graph's input nodes, one tensor each of exactly that type; results
  // in the order of the graph's outputs. Throws Error on a wrong type. Thread-safe: holds no state
  // of a frame.
  std::vector<Tensor> run(std::span<const Tensor> inputs) const;
  // As run, and shows every node's results to `see` in topological order.
  std::vector<Tensor> run(
      std::span<const Tensor> inputs,
      const std::function<void(const Node&, const std::vector<Tensor>&)>& see) const;

  const std::vector<const Node*>& inputs() const { return inputs_; }
  // What a value is in every frame; null where it depends on the inputs.
  const Tensor* constant(const Value& value) const;

 private:
  const Graph& graph_;
  std::vector<const Node*> inputs_;
  std::map<const Node*, std::vector<Tensor>> constants_;
};

}  // namespace foldstream
