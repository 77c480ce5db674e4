// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include "src/ops/quantize/quantize.h"
#include "src/source/quantizer.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1 || !node.in_type(0).is_float) throw Error("takes one float operand");
  const Coding coding = coding_of(node);
  const Shape& shape = node.in_type(0).shape;
  const int64_t axis = node.integer("axis", -1);
  if (axis >= static_cast<int64_t>(shape.size())) {
    throw Error(fmt::format("axis {} of {}", axis, to_string(node.in_type(0))));
  }
  const size_t channels = axis < 0 ? 1 : shape[axis];
  for (const size_t entries : {coding.scale.size(), coding.zero.size(), coding.divisor.size(),
                               coding.shift.size(), coding.thresholds.size()}) {
    if (entries > 1 && entries != channels) {
      throw Error(
          fmt::format("has parameters for {} channels, expected 1 or {}", entries, channels));
    }
  }
  return {type_for_range(coding.lowest(), coding.highest(), shape)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Coding coding = coding_of(node);
  const Shape& shape = in[0]->type.shape;
  const int64_t axis = node.integer("axis", -1);
  int64_t inner = 1;
  for (size_t d = axis + 1; axis >= 0 && d < shape.size(); ++d) inner *= shape[d];
  Tensor out = make_zero(node.out[0]);
  for (int64_t i = 0; i < out.count(); ++i) {
    const int64_t c = axis < 0 ? 0 : i / inner % shape[axis];
    out.ints[i] = coding.code(static_cast<float>(in[0]->reals[i]), c);
  }
  return {std::move(out)};
}

}  // namespace

extern const Op op_quantize;
const Op op_quantize{.name = "quantize",
                     .doc = "the integer codes of a float value, computed on the host",
                     .kind = Op::Kind::edge,
                     .to_onnx = quantize_to_onnx,
                     .infer = infer,
                     .eval = eval,
                     .kernels = &quantize::kernels};

}  // namespace foldstream
