// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/moves.h"
#include "src/source/region.h"
#include "src/source/window.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Slice"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 5);
  const Shape& shape = source.in[0].type().shape;
  const size_t rank = shape.size();
  // Attributes until operator set 9, operands after.
  const auto list = [&](std::string_view key, size_t port, Shape absent) {
    if (const std::vector<int64_t>* attr = integers_attr(source, key)) return *attr;
    return source.has(port) ? integers_operand(source, port, key) : absent;
  };
  const Shape starts = list("starts", 1, {}), ends = list("ends", 2, {});
  Shape all(starts.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  const Shape axes = list("axes", 3, all), steps = list("steps", 4, Shape(starts.size(), 1));
  if (starts.empty() || ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    throw Error(fmt::format("its starts are {}, its ends {}, its axes {}, its steps {}",
                            to_string(starts), to_string(ends), to_string(axes), to_string(steps)),
                "expected lists of one length");
  }
  Shape begin(rank, 0), step(rank, 1), size = shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = checked_axis(axes[i], rank), length = shape[axis];
    if (steps[i] == 0) throw Error("its step is 0");
    if (length == 0) continue;
    // Steps far out of the tensor pick one element whatever they are.
    const int64_t by = std::clamp<int64_t>(steps[i], -length - 1, length + 1);
    const auto place = [&](int64_t at, int64_t least, int64_t most) {
      return std::clamp<int64_t>(at < 0 ? std::max(at, -length - 1) + length : at, least, most);
    };
    const int64_t first = by > 0 ? place(starts[i], 0, length) : place(starts[i], 0, length - 1);
    const int64_t last = by > 0 ? place(ends[i], 0, length) : place(ends[i], -1, length - 1);
    const int64_t span = by > 0 ? last - first : first - last;
    begin[axis] = first;
    step[axis] = by;
    size[axis] = std::max<int64_t>(0, (span + std::abs(by) - 1) / std::abs(by));
    if (size[axis] == 0) begin[axis] = 0;
  }
  NodeAttributes attr = {{"begin", begin}, {"size", size}};
  if (std::any_of(step.begin(), step.end(), [](int64_t s) { return s != 1; })) attr["step"] = step;
  return {{&graph.add(require_op("slice"), {source.in[0]}, source.name, std::move(attr)), 0}};
}

Region region_of(const Node& node) {
  const Shape begin = node.integers("begin", {});
  return {begin, node.integers("step", Shape(begin.size(), 1))};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const Region region = region_of(node);
  const Shape size = node.integers("size", {});
  const size_t rank = type.shape.size();
  bool legal = region.begin.size() == rank && region.step.size() == rank && size.size() == rank;
  for (size_t d = 0; legal && d < rank; ++d) {
    const int64_t length = type.shape[d], first = region.begin[d], step = region.step[d];
    legal = first >= 0 && first <= length && size[d] >= 0 && size[d] <= length && step != 0 &&
            step >= -length - 1 && step <= length + 1;
    if (!legal || size[d] == 0) continue;
    legal = size[d] == 1 || std::abs(step) <= length / (size[d] - 1);
    if (!legal) continue;
    const int64_t last = first + (size[d] - 1) * step;
    legal = first < length && last >= 0 && last < length;
  }
  if (!legal) {
    throw Error(fmt::format("{} elements from {} on by steps of {} don't lie in {}",
                            to_string(size), to_string(region.begin), to_string(region.step),
                            to_string(type)));
  }
  type.shape = size;
  return {std::move(type)};
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const size_t rank = out.type.shape.size();
  copy_region(*in[0], region_of(node), out.type.shape, out, {Shape(rank, 0), Shape(rank, 1)});
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Region region = region_of(node);
  const Shape size = node.integers("size", {});
  const size_t rank = size.size();
  Shape ends(rank), axes(rank);
  for (size_t d = 0; d < rank; ++d) {
    axes[d] = static_cast<int64_t>(d);
    ends[d] = region.begin[d] + size[d] * region.step[d];
    // Before the first element: a negative end would count from the back.
    if (ends[d] < 0) ends[d] = std::numeric_limits<int64_t>::min() / 2;
  }
  const auto list = [&](const Shape& values, std::string_view hint) {
    const auto count = static_cast<int64_t>(values.size());
    return sink.index_constant(make_ints(integer_type(64, true, {count}), values), hint);
  };
  sink.node("", "Slice",
            {sink.input(0), list(region.begin, "starts"), list(ends, "ends"), list(axes, "axes"),
             list(region.step, "steps")},
            {sink.output(0)});
}

void lower(const Node& node, Lowering& lowering) {
  const Region region = region_of(node);
  if (std::any_of(region.step.begin(), region.step.end(), [](int64_t s) { return s != 1; })) {
    return lowering.keep("it steps over elements", "use a convolution or pool with a stride");
  }
  Shape end = node.integers("size", {});
  for (size_t d = 0; d < end.size(); ++d) end[d] += region.begin[d];
  lower_crop(lowering, region.begin, end);
}

}  // namespace

extern const Op op_slice;
const Op op_slice{.name = "slice",
                  .doc = "a region of the operand, every step-th element along each axis",
                  .onnx = kOnnx,
                  .import = import,
                  .to_onnx = to_onnx,
                  .infer = infer,
                  .eval = eval,
                  .lower = lower};

}  // namespace foldstream
