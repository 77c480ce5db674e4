// SPDX-License-Identifier: Apache-2.0
#include "src/source/import.h"

#include <fmt/format.h>

#include "src/ir/op.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

template <class T>
const T* find(const OnnxNode& source, std::string_view key, std::string_view kind) {
  const auto it = source.attr.find(key);
  if (it == source.attr.end()) return nullptr;
  const T* value = std::get_if<T>(&it->second);
  if (value == nullptr) throw Error(fmt::format("attribute '{}' is not {}", key, kind));
  return value;
}

}  // namespace

void expect_operands(const OnnxNode& source, size_t least, size_t most) {
  size_t found = source.in.size();
  while (found > least && !source.in[found - 1]) --found;
  if (found < least || found > most) {
    throw Error(least == most
                    ? fmt::format("has {} operands, expected {}", found, least)
                    : fmt::format("has {} operands, expected {} to {}", found, least, most));
  }
  for (size_t port = 0; port < least; ++port) {
    if (!source.has(port)) throw Error(fmt::format("operand {} is missing", port));
  }
}

int64_t integer_attr(const OnnxNode& source, std::string_view key, int64_t absent) {
  const int64_t* value = find<int64_t>(source, key, "an integer");
  return value == nullptr ? absent : *value;
}

double real_attr(const OnnxNode& source, std::string_view key, double absent) {
  const double* value = find<double>(source, key, "a real number");
  return value == nullptr ? absent : *value;
}

std::string text_attr(const OnnxNode& source, std::string_view key, std::string_view absent) {
  const std::string* value = find<std::string>(source, key, "a text");
  return value == nullptr ? std::string(absent) : *value;
}

const std::vector<int64_t>* integers_attr(const OnnxNode& source, std::string_view key) {
  return find<std::vector<int64_t>>(source, key, "a list of integers");
}

const Tensor& constant_operand(const OnnxNode& source, size_t port, std::string_view what) {
  if (!source.has(port)) throw Error(fmt::format("{} (operand {}) is missing", what, port));
  const Tensor* tensor = source.constant(port);
  if (tensor == nullptr) {
    throw Error(
        fmt::format("{} (operand {}) is computed at run time, expected a constant", what, port),
        "export the model with constant parameters");
  }
  return *tensor;
}

const Tensor& float_operand(const OnnxNode& source, size_t port, std::string_view what) {
  const Tensor& tensor = constant_operand(source, port, what);
  if (!tensor.type.is_float) {
    throw Error(fmt::format("{} is {}, expected floats", what, to_string(tensor.type)));
  }
  return tensor;
}

std::vector<int64_t> integers_operand(const OnnxNode& source, size_t port, std::string_view what) {
  const Tensor& tensor = constant_operand(source, port, what);
  if (tensor.type.is_float || tensor.type.shape.size() > 1) {
    throw Error(fmt::format("{} is {}, expected a list of integers", what, to_string(tensor.type)));
  }
  return tensor.ints;
}

double scalar_operand(const OnnxNode& source, size_t port, std::string_view what) {
  const Tensor& tensor = constant_operand(source, port, what);
  if (tensor.count() != 1) {
    throw Error(fmt::format("{} is {}, expected one element", what, to_string(tensor.type)));
  }
  return tensor.type.is_float ? tensor.reals[0] : static_cast<double>(tensor.ints[0]);
}

int64_t checked_axis(int64_t axis, size_t rank) {
  const auto count = static_cast<int64_t>(rank);
  if (axis < -count || axis >= count) {
    throw Error(fmt::format("axis {} of an operand with {} axes", axis, rank));
  }
  return axis < 0 ? axis + count : axis;
}

std::vector<Value> import_as(std::string_view op, const OnnxNode& source, Graph& graph,
                             size_t operands) {
  expect_operands(source, operands, operands);
  std::vector<Value> in(source.in.begin(), source.in.begin() + operands);
  return {{&graph.add(require_op(op), std::move(in), source.name), 0}};
}

std::vector<Value> import_pairwise(std::string_view op, const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, source.in.size());
  Value result = source.in[0];
  for (size_t port = 1; port < source.in.size(); ++port) {
    expect_operands(source, port + 1, source.in.size());
    result = {&graph.add(require_op(op), {result, source.in[port]}, source.name), 0};
  }
  return {result};
}

}  // namespace foldstream
