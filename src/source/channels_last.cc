// SPDX-License-Identifier: Apache-2.0
#include "src/source/channels_last.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Value moved(Value x, const std::string& name, Graph& graph, size_t from, size_t to) {
  std::vector<int64_t> perm(x.type().shape.size());
  if (perm.size() < 2) {
    throw Error(fmt::format("its operand {} has no channel axis", to_string(x.type())));
  }
  std::iota(perm.begin(), perm.end(), 0);
  if (from > to) {
    std::rotate(perm.begin() + to, perm.end() - 1, perm.end());
  } else {
    std::rotate(perm.begin() + from, perm.begin() + from + 1, perm.end());
  }
  return {&graph.add(require_op("transpose"), {x}, name, {{"perm", std::move(perm)}}), 0};
}

}  // namespace

Value channels_first(Value x, const std::string& name, Graph& graph) {
  return moved(x, name, graph, x.type().shape.size() - 1, 1);
}

Value channels_last(Value x, const std::string& name, Graph& graph) {
  return moved(x, name, graph, 1, x.type().shape.size() - 1);
}

Value add_bias(Value x, Value bias, const std::string& name, Graph& graph) {
  const int64_t channels = x.type().shape.at(1);
  if (bias.type().shape != Shape{channels}) {
    throw Error(
        fmt::format("its bias is {}, expected {} elements", to_string(bias.type()), channels));
  }
  Shape shape(x.type().shape.size() - 1, 1);
  shape[0] = channels;
  const Value column{
      &graph.add(require_op("reshape"), {bias}, name + "_bias_column", {{"shape", shape}}), 0};
  return {&graph.add(require_op("add"), {x, column}, name + "_bias"), 0};
}

}  // namespace foldstream
