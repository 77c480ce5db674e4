// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Transpose"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  std::vector<int64_t> perm;
  if (const std::vector<int64_t>* given = integers_attr(source, "perm")) {
    perm = *given;
  } else {
    for (size_t d = source.in[0].type().shape.size(); d-- > 0;) {
      perm.push_back(static_cast<int64_t>(d));
    }
  }
  return {{&graph.add(require_op("transpose"), {source.in[0]}, source.name,
                      {{"perm", std::move(perm)}}),
           0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const std::vector<int64_t> perm = node.integers("perm", {});
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool legal = sorted.size() == type.shape.size();
  for (size_t d = 0; d < sorted.size(); ++d) legal = legal && sorted[d] == static_cast<int64_t>(d);
  if (!legal) {
    throw Error(fmt::format("perm {} is not an order of the {} axes of its operand",
                            to_string(perm), type.shape.size()));
  }
  const Shape from = type.shape;
  for (size_t d = 0; d < perm.size(); ++d) type.shape[d] = from[perm[d]];
  return {type};
}

// For each element of the result, the offset of its source.
std::vector<int64_t> sources(const Shape& from, const std::vector<int64_t>& perm) {
  const size_t rank = from.size();
  std::vector<int64_t> stride(rank, 1), step(rank), size(rank), index(rank, 0);
  for (size_t d = rank; d-- > 1;) stride[d - 1] = stride[d] * from[d];
  for (size_t d = 0; d < rank; ++d) step[d] = stride[perm[d]], size[d] = from[perm[d]];
  std::vector<int64_t> offsets(element_count(from));
  int64_t at = 0;
  for (int64_t& offset : offsets) {
    offset = at;
    for (size_t d = rank; d-- > 0;) {
      at += step[d];
      if (++index[d] < size[d]) break;
      at -= step[d] * size[d];
      index[d] = 0;
    }
  }
  return offsets;
}

Tensor transposed(const Tensor& in, const std::vector<int64_t>& perm, const Shape& shape) {
  const std::vector<int64_t> offsets = sources(in.type.shape, perm);
  Type type = in.type;
  type.shape = shape;
  Tensor out = make_zero(type);
  for (size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = in.ints[offsets[i]];
  for (size_t i = 0; i < out.reals.size(); ++i) out.reals[i] = in.reals[offsets[i]];
  return out;
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {transposed(*in[0], node.integers("perm", {}), node.out[0].shape)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Transpose", {sink.input(0)}, {sink.output(0)},
            {{"perm", node.integers("perm", {})}});
}

void lower(const Node& node, Lowering& lowering) {
  Traced result = lowering.in(0);
  const std::vector<int64_t> perm = node.integers("perm", {});
  const Shape& shape = node.out[0].shape;
  if (result.axis >= 0) {
    result.axis = static_cast<int>(std::find(perm.begin(), perm.end(), result.axis) - perm.begin());
  }
  if (result.codes) result.codes = transposed(*result.codes, perm, shape);
  if (result.real) result.real = transposed(*result.real, perm, shape);
  if (result.is_integer()) {
    // Without hardware of its own only where no element moves: axes of one may change places.
    const std::vector<int64_t> offsets = sources(result.shape, perm);
    if (!std::is_sorted(offsets.begin(), offsets.end())) {
      return lowering.keep("it reorders a stream", "transpose the weights instead");
    }
    result.q = {
        &lowering.target().add(require_op("reshape"), {result.q}, node.name, {{"shape", shape}}),
        0};
  }
  lowering.set(0, std::move(result));
}

}  // namespace

extern const Op op_transpose;
const Op op_transpose{.name = "transpose",
                      .doc = "axes in another order",
                      .onnx = kOnnx,
                      .import = import,
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .lower = lower};

}  // namespace foldstream
