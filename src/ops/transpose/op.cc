// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <algorithm>

#include "src/ir/kernel.h"
#include "src/ir/lowering.h"
#include "src/ir/onnx_node.h"
#include "src/ir/permute.h"
#include "src/kernel/convert.h"
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
  type.shape = permuted_shape(type.shape, node.integers("perm", {}));
  return {type};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  return {permuted(*in[0], node.integers("perm", {}))};
}

std::unique_ptr<Kernel> make(const KernelSite& site) {
  if (site.in[0].storage.form != site.out[0].form || site.in[0].storage.base != site.out[0].base) {
    return nullptr;
  }
  return kernel::make_permute(site.in[0].storage, site.node.in_type(0).shape,
                              site.node.integers("perm", {}));
}

const Kernels kernels{.ranges = range_of_operand, .make = make, .moves = true};

void to_onnx(const Node& node, OnnxSink& sink) {
  sink.node("", "Transpose", {sink.input(0)}, {sink.output(0)},
            {{"perm", node.integers("perm", {})}});
}

// Whether only axes of one element change places.
bool moves_nothing(const Layout& layout) {
  int last = -1;
  for (const int axis : layout.order) {
    if (layout.dims[axis] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

void lower(const Node& node, Lowering& lowering) {
  Traced result = lowering.in(0);
  const std::vector<int64_t> perm = node.integers("perm", {});
  const Shape& shape = node.out[0].shape;
  if (result.axis >= 0) {
    result.axis = static_cast<int>(std::find(perm.begin(), perm.end(), result.axis) - perm.begin());
  }
  if (result.codes) result.codes = permuted(*result.codes, perm);
  if (result.real) result.real = permuted(*result.real, perm);
  if (result.is_integer()) {
    // Only a name of the axes changes; the elements stay where they are.
    if (!result.layout.natural() && result.layout.dims != result.shape) {
      result.q = lowering.natural(result);
      result.layout = {};
    }
    std::vector<int>& order = result.layout.order;
    if (result.layout.natural()) order = natural_order(perm.size());
    for (int& axis : order) {
      axis = static_cast<int>(std::find(perm.begin(), perm.end(), axis) - perm.begin());
    }
    result.layout.dims = shape;
    result.shape = shape;
    if (std::is_sorted(order.begin(), order.end())) {
      result.layout = {};
    } else if (moves_nothing(result.layout)) {
      result.q = lowering.natural(result);
      result.layout = {};
    }
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
                      .lower = lower,
                      .kernels = &kernels};

}  // namespace foldstream
