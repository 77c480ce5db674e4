// SPDX-License-Identifier: Apache-2.0
#include "src/ir/eval.h"

#include <fmt/format.h>

#include <unordered_map>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {

std::vector<Tensor> evaluate_node(const Node& node, std::span<const Tensor* const> in) {
  if (node.op->eval == nullptr) {
    throw Error(fmt::format("{}: this operator can't be computed", describe(node)));
  }
  std::vector<Tensor> out;
  try {
    out = node.op->eval(node, in);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", describe(node), error.what()), error.help());
  }
  FOLDSTREAM_CHECK(out.size() == node.out.size());
  for (size_t i = 0; i < out.size(); ++i) FOLDSTREAM_CHECK(out[i].type == node.out[i]);
  return out;
}

bool fold_constant(Node& node) {
  const bool computes = node.op->kind == Op::Kind::source || node.op->kind == Op::Kind::view;
  if (!computes || node.op->takes_floats || node.op->eval == nullptr) return false;
  if (node.out.size() != 1 || node.in.empty()) return false;
  std::vector<const Tensor*> in;
  for (const Value& value : node.in) {
    if (value.node->op->kind != Op::Kind::constant) return false;
    in.push_back(value.node->tensor("value"));
  }
  Tensor value = evaluate_node(node, in).front();
  node.op = &require_op("constant");
  node.in.clear();
  node.attr.clear();
  node.data.clear();
  node.data["value"] = std::move(value);
  infer_node(node);
  return true;
}

Evaluator::Evaluator(const Graph& graph) : graph_(graph) {
  for (const Node& node : graph.nodes) {
    if (node.op->kind == Op::Kind::input) {
      inputs_.push_back(&node);
      continue;
    }
    if (node.op->kind == Op::Kind::constant) continue;  // read where it is
    // What depends on constants alone (quantized weights) is computed once, not in every frame.
    std::vector<const Tensor*> in;
    for (const Value& value : node.in) {
      const Tensor* known = constant(value);
      if (known == nullptr) break;
      in.push_back(known);
    }
    if (in.size() == node.in.size()) constants_[&node] = evaluate_node(node, in);
  }
}

const Tensor* Evaluator::constant(const Value& value) const {
  if (value.node->op->kind == Op::Kind::constant) return value.node->tensor("value");
  const auto it = constants_.find(value.node);
  return it == constants_.end() ? nullptr : &it->second[value.port];
}

std::vector<Tensor> Evaluator::run(std::span<const Tensor> inputs) const {
  return run(inputs, nullptr);
}

std::vector<Tensor> Evaluator::run(
    std::span<const Tensor> inputs,
    const std::function<void(const Node&, const std::vector<Tensor>&)>& see) const {
  if (inputs.size() != inputs_.size()) {
    throw Error(fmt::format("graph '{}' has {} inputs, {} were given", graph_.name, inputs_.size(),
                            inputs.size()));
  }
  std::unordered_map<const Node*, std::vector<Tensor>> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Node& node = *inputs_[i];
    if (inputs[i].type != node.out[0]) {
      throw Error(fmt::format("graph input '{}' is {}, it was given {}", node.name,
                              to_string(node.out[0]), to_string(inputs[i].type)));
    }
    values[&node] = {inputs[i]};
    if (see) see(node, values[&node]);
  }
  const auto result = [&](const Value& value) -> const Tensor& {
    const Tensor* known = constant(value);
    return known != nullptr ? *known : values.at(value.node)[value.port];
  };
  for (const Node& node : graph_.nodes) {
    const bool known = node.op->kind == Op::Kind::constant || constants_.contains(&node);
    if (node.op->kind == Op::Kind::input || known) continue;
    std::vector<const Tensor*> in;
    for (const Value& value : node.in) in.push_back(&result(value));
    auto& out = values[&node] = evaluate_node(node, in);
    if (see) see(node, out);
  }
  std::vector<Tensor> outputs;
  for (const Output& output : graph_.outputs) outputs.push_back(result(output.value));
  return outputs;
}

}  // namespace foldstream
