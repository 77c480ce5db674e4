// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/folding.h"
#include "src/ir/onnx_node.h"
#include "src/ops/pool/pool.h"
#include "src/util/error.h"

namespace foldstream {
namespace pool {

Function function(const Node& node) {
  const std::string name = node.text("function", "max");
  if (name == "max") return Function::max;
  if (name == "min") return Function::min;
  if (name == "sum") return Function::sum;
  throw Error(fmt::format("function '{}'", name), "legal values are max, min, sum");
}

window::Geometry geometry(const Node& node) {
  const window::Geometry g(node);
  if (g.rows.dilation != 1 || g.columns.dilation != 1) {
    throw Error("its windows are dilated", "a pool's windows are of neighbours");
  }
  return g;
}

Type sum_type(const window::Geometry& g, int64_t count, Shape shape) {
  const int64_t lo = g.element.min(), hi = g.element.max();
  constexpr int64_t kMost = int64_t{1} << 53;
  if (std::max(hi, -std::max(lo, -kMost)) >= kMost / count) {
    throw Error(fmt::format("sums of {} elements of {}", count, element_name(g.element)),
                "sums have at most 53 bits");
  }
  return type_for_range(count * lo, count * hi, std::move(shape));
}

}  // namespace pool

namespace {

using pool::Function;

std::vector<Type> infer(const Node& node) {
  const window::Geometry g = pool::geometry(node);
  const Shape shape = g.result(g.channels);
  const Type& type = node.in_type(0);
  if (pool::function(node) == Function::sum) return {pool::sum_type(g, g.taps(), shape)};
  return {integer_type(type.bits, type.is_signed, shape)};
}

// Every window along one direction, where each place is a run of `inner` elements.
template <class Combine>
std::vector<int64_t> pooled(const std::vector<int64_t>& x, const window::Axis& axis, int64_t inner,
                            int64_t padding, const Combine& combine) {
  const int64_t windows = axis.windows();
  const int64_t outer = static_cast<int64_t>(x.size()) / (axis.size * inner);
  std::vector<int64_t> y(outer * windows * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t window = 0; window < windows; ++window) {
      int64_t* to = y.data() + (o * windows + window) * inner;
      const int64_t begin = std::max<int64_t>(axis.position(window, 0), 0);
      const int64_t end = std::min(axis.position(window, axis.kernel), axis.size);
      const int64_t* from = x.data() + (o * axis.size + begin) * inner;
      std::copy_n(from, inner, to);
      for (int64_t place = begin + 1; place < end; ++place) {
        from += inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = combine(to[i], from[i]);
      }
      const int64_t added = (axis.kernel - (end - begin)) * padding;
      for (int64_t i = 0; i < inner; ++i) to[i] += added;
    }
  }
  return y;
}

template <class Combine>
Tensor pooled(const Node& node, const Tensor& in, int64_t padding, const Combine& combine) {
  const window::Geometry g = pool::geometry(node);
  const auto rows = pooled(in.ints, g.columns, g.channels, padding, combine);
  return make_ints(node.out[0], pooled(rows, g.rows, g.columns.windows() * g.channels,
                                       padding * g.columns.kernel, combine));
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const int64_t padding = node.integer("pad_value", 0);
  const Function function = pool::function(node);
  if (function == Function::sum) {
    return {pooled(node, *in[0], padding, [](int64_t a, int64_t b) { return a + b; })};
  }
  if (function == Function::max) {
    return {pooled(node, *in[0], 0, [](int64_t a, int64_t b) { return std::max(a, b); })};
  }
  return {pooled(node, *in[0], 0, [](int64_t a, int64_t b) { return std::min(a, b); })};
}

// ONNX pools channels-first frames. A sum is a convolution with ones, a least element the negative
// of the largest negative.
void to_onnx(const Node& node, OnnxSink& sink) {
  const window::Geometry g = pool::geometry(node);
  const bool rows = !g.one_axis;
  const Function function = pool::function(node);
  const auto channels_first = [&](const Type& type, int64_t height, int64_t width) {
    Shape shape{g.images, g.channels, width};
    if (rows) shape.insert(shape.begin() + 2, height);
    return integer_type(type.bits, type.is_signed, shape);
  };
  const Type &from = node.in_type(0), &to = node.out[0];
  std::string value = sink.temporary("frame", channels_first(from, g.rows.size, g.columns.size));
  const std::vector<int64_t> first = rows ? std::vector<int64_t>{0, 3, 1, 2} : Shape{0, 2, 1};
  const std::vector<int64_t> last = rows ? std::vector<int64_t>{0, 2, 3, 1} : Shape{0, 2, 1};
  sink.node("", "Transpose", {sink.input(0)}, {value}, {{"perm", first}});

  std::vector<int64_t> kernel{g.columns.kernel}, stride{g.columns.stride},
      pads{g.columns.before, g.columns.after};
  if (rows) {
    kernel.insert(kernel.begin(), g.rows.kernel), stride.insert(stride.begin(), g.rows.stride);
    pads = {g.rows.before, g.columns.before, g.rows.after, g.columns.after};
  }
  const auto negated = [&](const Type& type, int64_t height, int64_t width) {
    const std::string result = sink.temporary(
        "negated", channels_first(type_for_range(-type.max(), -type.min(), {}), height, width));
    sink.node("", "Neg", {value}, {result});
    value = result;
  };
  if (function == Function::min) negated(from, g.rows.size, g.columns.size);
  const auto result_type = channels_first(to, g.rows.windows(), g.columns.windows());
  std::map<std::string, Attr, std::less<>> attr{{"kernel_shape", kernel}, {"strides", stride}};
  const std::string result = sink.temporary("pooled", result_type);
  if (function == Function::sum) {
    if (g.pad_value != 0) {
      std::vector<int64_t> pad{0, 0, g.columns.before, 0, 0, g.columns.after};
      if (rows) {
        pad = {0, 0, g.rows.before, g.columns.before, 0, 0, g.rows.after, g.columns.after};
      }
      const std::string padded = sink.temporary(
          "padded", channels_first(g.element, g.rows.size + g.rows.before + g.rows.after,
                                   g.columns.size + g.columns.before + g.columns.after));
      sink.node(
          "", "Pad",
          {value,
           sink.index_constant(make_ints(Shape{static_cast<int64_t>(pad.size())}, pad), "pad"),
           sink.constant(make_ints(Shape{}, {g.pad_value}), "pad_value")},
          {padded});
      value = padded;
    } else {
      attr["pads"] = pads;
    }
    attr["group"] = g.channels;
    Shape shape{g.channels, 1};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    const std::vector<int64_t> ones(element_count(shape), 1);
    sink.node("", "Conv", {value, sink.constant(make_ints(shape, ones), "ones")}, {result}, attr);
    value = result;
  } else {
    attr["pads"] = pads;
    sink.node("", "MaxPool", {value}, {result}, attr);
    value = result;
  }
  if (function == Function::min) negated(to, g.rows.windows(), g.columns.windows());
  sink.node("", "Transpose", {value}, {sink.output(0)}, {{"perm", last}});
}

std::vector<Fold> folds(const Node& node) {
  return {{"pe", divisors(node.in_type(0).shape.back())}};
}

}  // namespace

extern const Op op_pool;
const Op op_pool{.name = "pool",
                 .doc = "largest, least or sum of each window of a frame",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .folds = folds,
                 .ports = pool::ports,
                 .rhythm = pool::rhythm,
                 .cost = pool::cost,
                 .emit = pool::emit,
                 .finn_name = "Pool",
                 .kernels = &pool::kernels};

}  // namespace foldstream
