// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<int64_t> sizes(const Node& node) { return node.integers("sizes", {}); }

// Before this axis everything is repeated, result after result.
int64_t outer(const Node& node) {
  const Shape& shape = node.in_type(0).shape;
  return element_count(Shape(shape.begin(), shape.begin() + node.integer("axis")));
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  const Type& type = node.in_type(0);
  const int64_t axis = node.integer("axis");
  if (axis < 0 || axis >= static_cast<int64_t>(type.shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(type)));
  }
  const std::vector<int64_t> parts = sizes(node);
  if (parts.size() < 2 || parts.size() > 32) {
    throw Error(fmt::format("'sizes' lists {} results", parts.size()),
                "give the sizes of 2 to 32 results");
  }
  int64_t left = type.shape[axis];
  std::vector<Type> results;
  for (const int64_t size : parts) {
    if (size < 1 || size > left) left = -1;
    if (left < 0) break;
    left -= size;
    results.push_back(type);
    results.back().shape[axis] = size;
  }
  if (left != 0) {
    throw Error(fmt::format("sizes {} don't make up axis {} of {}", to_string(parts), axis,
                            to_string(type)),
                fmt::format("give sizes of at least 1 with the sum {}", type.shape[axis]));
  }
  return results;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  std::vector<Tensor> out;
  for (const Type& type : node.out) {
    out.push_back({type, {}, {}});
    out.back().ints.reserve(type.count());
  }
  auto from = in[0]->ints.begin();
  const int64_t times = outer(node);
  for (int64_t time = 0; time < times; ++time) {
    for (Tensor& part : out) {
      const int64_t size = part.count() / times;
      part.ints.insert(part.ints.end(), from, from + size);
      from += size;
    }
  }
  return out;
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const std::vector<int64_t> parts = sizes(node);
  std::vector<std::string> results;
  for (size_t port = 0; port < parts.size(); ++port) results.push_back(sink.output(port));
  const auto count = static_cast<int64_t>(parts.size());
  sink.node("", "Split",
            {sink.input(0), sink.index_constant(make_ints(Shape{count}, parts), "sizes")},
            std::move(results), {{"axis", node.integer("axis")}});
}

}  // namespace

extern const Op op_split_stream;
const Op op_split_stream{.name = "split_stream",
                         .doc = "consecutive parts of a stream along an axis",
                         .kind = Op::Kind::hardware,
                         .to_onnx = to_onnx,
                         .infer = infer,
                         .eval = eval,
                         .finn_name = "StreamingSplit"};

}  // namespace foldstream
