// SPDX-License-Identifier: Apache-2.0
#include "src/cli/classes.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {

int64_t class_of(const Tensor& result) {
  if (!result.type.is_float) {
    if (result.count() == 1) return result.ints[0];
    return std::max_element(result.ints.begin(), result.ints.end()) - result.ints.begin();
  }
  if (result.count() == 1) return result.reals[0] > 0 ? 1 : 0;
  return std::max_element(result.reals.begin(), result.reals.end()) - result.reals.begin();
}

void check_labels(const DataSet& data, const Graph& model) {
  const Type& result = model.outputs.at(0).value.type();
  if (result.count() < 1) {
    throw Error(fmt::format("the model's result, {}, has no elements", to_string(result)),
                "accuracy needs a class or scores");
  }
  if (result.count() == 1 && !result.is_float) return;
  data.check_labels(std::max<int64_t>(result.count(), 2), "the model");
}

Type input_type(const Graph& model) {
  const Node* input = nullptr;
  for (const Node& node : model.nodes) {
    if (node.op->kind != Op::Kind::input) continue;
    if (input != nullptr) throw Error("the model has several inputs, but a sample is one");
    input = &node;
  }
  if (input == nullptr || !input->out[0].is_float) {
    throw Error("the model has no float input to show samples to");
  }
  return input->out[0];
}

}  // namespace foldstream
