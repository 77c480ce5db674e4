// SPDX-License-Identifier: Apache-2.0
#include "src/ir/eval.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"

namespace foldstream {
namespace {

bool run(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) changed = fold_constant(node) || changed;
  return graph.remove_dead() || changed;
}

}  // namespace

extern const Pass pass_fold_constants;
const Pass pass_fold_constants{"fold_constants", "compute what depends on constants alone", run};

}  // namespace foldstream
