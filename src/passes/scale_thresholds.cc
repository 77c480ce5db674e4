// SPDX-License-Identifier: Apache-2.0
#include "src/arith/scaled_levels.h"
#include "src/arith/weights.h"
#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/window/geometry.h"

namespace foldstream {
namespace {

// Fewer are cheaper to compare with.
constexpr int64_t kFewestLevels = 7;

// The values that a node compares with its thresholds: sums of its products, or its operand's.
std::vector<Range> compared_ranges(const Node& node) {
  const Type& in = node.in_type(0);
  const Tensor* w = node.tensor("w");
  if (w == nullptr) return {{in.min(), in.max()}};
  const std::vector<int64_t> bound = node.integers("range", {INT64_MIN, INT64_MAX});
  return arith::row_ranges(*w, node.attr.contains("kernel") ? window::Geometry(node).element : in,
                           {bound[0], bound[1]});
}

bool run(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (node.op != &require_op("mvau") && node.op != &require_op("vvau") &&
        node.op != &require_op("threshold")) {
      continue;
    }
    const Tensor* t = node.tensor("t");
    if (t == nullptr || t->type.shape[1] < kFewestLevels || arith::has_scaling(node)) continue;
    const std::vector<Range> ranges = compared_ranges(node);
    changed = arith::add_scaling(node, Thresholds(node, t->type.shape[0]), ranges) || changed;
  }
  return changed;
}

}  // namespace

extern const Pass pass_scale_thresholds;
const Pass pass_scale_thresholds{
    "scale_thresholds",
    "find multiplications that are equal to thresholds, for the folding to choose", run};

}  // namespace foldstream
