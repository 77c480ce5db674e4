// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "src/ir/box.h"
#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

Box kept(const Node& node) {
  return {node.in_type(0).shape, node.integers("begin", {}), node.integers("end", {})};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float || node.in_type(0).shape.empty()) {
    throw Error("takes one integer operand of at least one dimension");
  }
  Type type = node.in_type(0);
  const Box box = kept(node);
  bool legal = box.begin.size() == type.shape.size() && box.end.size() == type.shape.size();
  for (size_t d = 0; legal && d < type.shape.size(); ++d) {
    legal = box.begin[d] >= 0 && box.begin[d] < box.end[d] && box.end[d] <= type.shape[d];
  }
  if (!legal) {
    throw Error(fmt::format("begin {} to end {} is not a part of {}", to_string(box.begin),
                            to_string(box.end), to_string(type)),
                "in each axis: 0 <= begin < end <= size");
  }
  type.shape = box_shape(box);
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  auto to = out.ints.begin();
  for (const int64_t row : box_rows(kept(node))) {
    to = std::copy_n(in[0]->ints.begin() + row, out.type.shape.back(), to);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Box box = kept(node);
  const auto rank = static_cast<int64_t>(box.frame.size());
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  sink.node("", "Slice",
            {sink.input(0), sink.index_constant(make_ints(Shape{rank}, box.begin), "begin"),
             sink.index_constant(make_ints(Shape{rank}, box.end), "end"),
             sink.index_constant(make_ints(Shape{rank}, axes), "axes")},
            {sink.output(0)});
}

}  // namespace

extern const Op op_crop;
const Op op_crop{.name = "crop",
                 .doc = "the part of a tensor from 'begin' up to 'end'",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .finn_name = "Crop"};

}  // namespace foldstream
