// SPDX-License-Identifier: Apache-2.0
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"

namespace foldstream {
namespace {

// Computes source nodes all of whose operands are constants. Quantizers stay: their codes are what
// hardware stores, and streamlining reads them from the node.
bool run(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (node.op->kind != Op::Kind::source || node.op->takes_floats || node.op->eval == nullptr)
      continue;
    if (node.out.size() != 1 || node.in.empty()) continue;
    bool constant = true;
    std::vector<const Tensor*> in;
    for (const Value& value : node.in) {
      constant = constant && value.node->op->kind == Op::Kind::constant;
      if (constant) in.push_back(value.node->tensor("value"));
    }
    if (!constant) continue;
    Tensor value = evaluate_node(node, in).front();
    node.op = &require_op("constant");
    node.in.clear();
    node.attr.clear();
    node.data.clear();
    node.data["value"] = std::move(value);
    infer_node(node);
    changed = true;
  }
  return graph.remove_dead() || changed;
}

}  // namespace

extern const Pass pass_fold_constants;
const Pass pass_fold_constants{"fold_constants", "compute what depends on constants alone", run};

}  // namespace foldstream
