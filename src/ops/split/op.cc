// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/joins.h"
#include "src/source/region.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Split"};

// An attribute until operator set 12, an operand after; absent, parts of one size, the last of what
// remains.
Shape sizes_of(const OnnxNode& source, int64_t whole) {
  if (const std::vector<int64_t>* attr = integers_attr(source, "split")) return *attr;
  if (source.has(1)) return integers_operand(source, 1, "the sizes");
  const int64_t parts = integer_attr(source, "num_outputs", source.outputs);
  if (parts < 1 || parts > whole) throw Error(fmt::format("{} parts of {}", parts, whole));
  const int64_t size = (whole + parts - 1) / parts;
  Shape sizes(parts, size);
  sizes.back() = whole - size * (parts - 1);
  return sizes;
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 2);
  const Shape& shape = source.in[0].type().shape;
  const int64_t axis = checked_axis(integer_attr(source, "axis", 0), shape.size());
  const Shape sizes = sizes_of(source, shape[axis]);
  Node& node = graph.add(require_op("split"), {source.in[0]}, source.name,
                         {{"axis", axis}, {"sizes", sizes}});
  std::vector<Value> results;
  bool uses_all = true;
  for (size_t port = 0; port < node.out.size(); ++port) uses_all = uses_all && source.uses(port);
  if (!uses_all) {
    // A stream that nobody takes would stop the others, so the parts that are used are cut out.
    Shape begin(shape.size(), 0);
    for (size_t port = 0; port < node.out.size(); ++port) {
      if (source.uses(port)) {
        results.push_back({&graph.add(require_op("slice"), {source.in[0]},
                                      fmt::format("{}_part{}", source.name, port),
                                      {{"begin", begin}, {"size", node.out[port].shape}}),
                           0});
      } else {
        results.push_back({&node, static_cast<int>(port)});
      }
      begin[static_cast<size_t>(axis)] += sizes[port];
    }
    return results;
  }
  for (size_t port = 0; port < node.out.size(); ++port) {
    results.push_back({&node, static_cast<int>(port)});
  }
  return results;
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(type)));
  }
  const Shape sizes = node.integers("sizes", {});
  int64_t left = type.shape[axis];
  std::vector<Type> results;
  for (const int64_t size : sizes) {
    if (size < 0 || size > left) {
      left = -1;
      break;
    }
    left -= size;
    type.shape[axis] = size;
    results.push_back(type);
  }
  if (sizes.empty() || left != 0) {
    throw Error(fmt::format("parts of {} along axis {} don't make up {}", to_string(sizes), axis,
                            to_string(node.in_type(0))));
  }
  return results;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const int64_t axis = node.integer("axis");
  const size_t rank = in[0]->type.shape.size();
  const Region to{Shape(rank, 0), Shape(rank, 1)};
  Region from = to;
  std::vector<Tensor> results;
  for (const Type& type : node.out) {
    Tensor& part = results.emplace_back(make_zero(type));
    copy_region(*in[0], from, type.shape, part, to);
    from.begin[axis] += type.shape[axis];
  }
  return results;
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Shape sizes = node.integers("sizes", {});
  const auto count = static_cast<int64_t>(sizes.size());
  std::vector<std::string> results;
  for (size_t port = 0; port < node.out.size(); ++port) results.push_back(sink.output(port));
  sink.node("", "Split",
            {sink.input(0),
             sink.index_constant(make_ints(integer_type(64, true, {count}), sizes), "sizes")},
            std::move(results), {{"axis", node.integer("axis")}});
}

void lower(const Node& node, Lowering& lowering) {
  lower_split(lowering, static_cast<int>(node.integer("axis")), node.integers("sizes", {}));
}

}  // namespace

extern const Op op_split;
const Op op_split{.name = "split",
                  .doc = "parts of the operand along an axis",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower};

}  // namespace foldstream
