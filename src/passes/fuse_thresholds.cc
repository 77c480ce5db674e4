// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"
#include "src/ir/pass.h"

namespace foldstream {
namespace {

// A threshold whose operand is made for it alone by a unit of weighted sums moves into that unit:
// one stream of full sums and one controller less.
bool run(Graph& graph) {
  const Op& mvau = require_op("mvau");
  const Op& vvau = require_op("vvau");
  const Op& threshold = require_op("threshold");
  bool changed = false;
  auto users = graph.users();
  for (Node& node : graph.nodes) {
    if (node.op != &threshold || node.attr.contains("axis")) continue;
    Node& producer = *node.in[0].node;
    if (producer.op != &mvau && producer.op != &vvau) continue;
    if (producer.data.contains("t") || users[node.in[0]].size() != 1) continue;
    bool is_output = false;
    for (const Output& output : graph.outputs) is_output = is_output || output.value == node.in[0];
    if (is_output) continue;
    producer.data["t"] = node.data.at("t");
    if (const Tensor* flip = node.tensor("flip")) producer.data["flip"] = *flip;
    infer_node(producer);
    graph.replace({&node, 0}, {&producer, 0});
    changed = true;  // the threshold itself is dead now
  }
  return graph.remove_dead() || changed;
}

}  // namespace

extern const Pass pass_fuse_thresholds;
const Pass pass_fuse_thresholds{
    "fuse_thresholds", "move thresholds into the matrix-vector or depthwise unit before them", run};

}  // namespace foldstream
