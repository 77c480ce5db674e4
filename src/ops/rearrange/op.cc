// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/moves.h"
#include "src/source/region.h"
#include "src/source/window.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"DepthToSpace", "SpaceToDepth"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 1);
  const Shape& from = source.in[0].type().shape;
  if (from.size() != 4) {
    throw Error(
        fmt::format("its operand is {}, expected [N, C, H, W]", to_string(source.in[0].type())));
  }
  const int64_t block = integer_attr(source, "blocksize", 0);
  const bool to_space = source.type == "DepthToSpace";
  const int64_t n = from[0], c = from[1], h = from[2], w = from[3];
  const bool fits = block >= 1 && block <= kMostWindow &&
                    (to_space ? c % (block * block) == 0 : h % block == 0 && w % block == 0);
  if (!fits) {
    throw Error(fmt::format("its blocksize is {} and its operand {}", block, to_string(from)),
                to_space ? "the square of the blocksize must divide the channels"
                         : "the blocksize must divide height and width");
  }
  // DCR: the places in a block are the outer part of the channels; CRD: the inner.
  const std::string mode = text_attr(source, "mode", "DCR");
  if (mode != "DCR" && mode != "CRD") {
    throw Error(fmt::format("its mode is '{}'", mode), "expected DCR or CRD");
  }
  const bool outer = mode == "DCR";
  Shape split, perm, shape;
  if (to_space) {
    const int64_t depth = c / (block * block);
    split = outer ? Shape{n, block, block, depth, h, w} : Shape{n, depth, block, block, h, w};
    perm = outer ? Shape{0, 3, 4, 1, 5, 2} : Shape{0, 1, 4, 2, 5, 3};
    shape = {n, depth, h * block, w * block};
  } else {
    split = {n, c, h / block, block, w / block, block};
    perm = outer ? Shape{0, 3, 5, 1, 2, 4} : Shape{0, 1, 3, 5, 2, 4};
    shape = {n, c * block * block, h / block, w / block};
  }
  Node& node = graph.add(require_op("rearrange"), {source.in[0]}, source.name,
                         {{"split", split}, {"perm", perm}, {"shape", shape}});
  return {{&node, 0}};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const Shape split = node.integers("split", {}), shape = node.integers("shape", {});
  Shape perm = node.integers("perm", {});
  std::sort(perm.begin(), perm.end());
  bool legal = perm.size() == split.size();
  for (size_t d = 0; d < perm.size(); ++d) legal = legal && perm[d] == static_cast<int64_t>(d);
  if (!legal || checked_element_count(split) != type.count() ||
      checked_element_count(shape) != type.count()) {
    throw Error(fmt::format("{} split into {} in the order {} does not make {}", to_string(type),
                            to_string(split), to_string(node.integers("perm", {})),
                            to_string(shape)));
  }
  type.shape = shape;
  return {std::move(type)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Shape split = node.integers("split", {}), perm = node.integers("perm", {});
  const size_t rank = split.size();
  Tensor from = *in[0], out = make_zero(node.out[0]);
  from.type.shape = split;
  Shape size(rank);
  for (size_t d = 0; d < rank; ++d) size[d] = split[perm[d]];
  out.type.shape = size;
  copy_permuted(from, perm, out);
  out.type.shape = node.out[0].shape;
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Shape split = node.integers("split", {}), perm = node.integers("perm", {});
  const auto reshape = [&](const std::string& from, const Shape& shape, const std::string& to,
                           std::string_view hint) {
    const auto rank = static_cast<int64_t>(shape.size());
    sink.node("", "Reshape",
              {from, sink.index_constant(make_ints(integer_type(64, true, {rank}), shape), hint)},
              {to});
  };
  Type parts = node.in_type(0);
  parts.shape = split;
  Type moved = parts;
  for (size_t d = 0; d < perm.size(); ++d) moved.shape[d] = split[perm[d]];
  const std::string before = sink.temporary("split", parts);
  const std::string after = sink.temporary("moved", moved);
  reshape(sink.input(0), split, before, "split_shape");
  sink.node("", "Transpose", {before}, {after}, {{"perm", perm}});
  reshape(after, node.out[0].shape, sink.output(0), "shape");
}

void lower(const Node& node, Lowering& lowering) {
  const Shape perm = node.integers("perm", {});
  lower_rearrangement(lowering, node.integers("split", {}), {perm.begin(), perm.end()});
}

}  // namespace

extern const Op op_rearrange;
const Op op_rearrange{.name = "rearrange",
                      .doc = "axes taken apart, put in another order and together again",
                      .onnx = kOnnx,
                      .import = import,
                      .to_onnx = to_onnx,
                      .infer = infer,
                      .eval = eval,
                      .lower = lower};

}  // namespace foldstream
