// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "src/ir/op.h"
#include "src/ir/pass.h"
#include "src/util/error.h"
#include "src/window/geometry.h"

namespace foldstream {
namespace {

// The padding of windows over `pad`'s operand that read what those of `node` read of its result;
// none where a window can't: padding of other axes, of two values, or with room for a whole window.
std::optional<std::vector<int64_t>> windows_pad(const Node& pad, const Node& node) {
  const std::vector<int64_t> outer = pad.integers("pad", {});
  const int64_t value = pad.integer("pad_value", 0);
  const size_t rank = outer.size() / 2, axes = rank - 2;
  if (rank < 3) return std::nullopt;
  for (const size_t whole : {size_t{0}, rank - 1}) {
    if (outer[whole] != 0 || outer[rank + whole] != 0) return std::nullopt;
  }
  std::vector<int64_t> sum = node.integers("pad", std::vector<int64_t>(2 * axes, 0));
  const bool has_own = std::any_of(sum.begin(), sum.end(), [](int64_t p) { return p > 0; });
  if (has_own && node.integer("pad_value", 0) != value) return std::nullopt;
  for (size_t axis = 0; axis < axes; ++axis) {
    sum[axis] += outer[1 + axis];
    sum[axes + axis] += outer[rank + 1 + axis];
  }
  Node trial = node;
  trial.in = pad.in;
  trial.attr["pad"] = sum;
  trial.attr["pad_value"] = value;
  try {
    infer_node(trial);
  } catch (const Error&) {
    return std::nullopt;
  }
  return trial.out == node.out ? std::optional(sum) : std::nullopt;
}

// Padding of a frame that only windows read becomes theirs: they make it without a place for it in
// memory or a step that hands it over.
bool run(Graph& graph) {
  const Op& pad_stream = require_op("pad_stream");
  const Op& sliding_window = require_op("sliding_window");
  const Op& vvau = require_op("vvau");
  auto users = graph.users();
  bool changed = false;
  for (Node& pad : graph.nodes) {
    if (pad.op != &pad_stream) continue;
    const Value padded{&pad, 0};
    const bool is_output =
        std::any_of(graph.outputs.begin(), graph.outputs.end(),
                    [&](const Output& output) { return output.value == padded; });
    const std::vector<Node*>& readers = users[padded];
    const bool all = std::all_of(readers.begin(), readers.end(), [&](const Node* reader) {
      return (reader->op == &sliding_window || reader->op == &vvau) &&
             windows_pad(pad, *reader).has_value();
    });
    if (is_output || !all) continue;
    for (Node* reader : readers) {
      reader->attr["pad"] = *windows_pad(pad, *reader);
      reader->attr["pad_value"] = pad.integer("pad_value", 0);
      reader->in = pad.in;
      infer_node(*reader);
    }
    changed = true;  // the padding itself is dead now
  }
  return graph.remove_dead() || changed;
}

}  // namespace

extern const Pass pass_fold_pads;
const Pass pass_fold_pads{"fold_pads", "make a frame's padding in the windows that read it", run};

}  // namespace foldstream
