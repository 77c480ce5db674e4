// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

// Windows along one direction: window i covers the places i * stride - before up to, not including,
// i * stride - before + kernel.
struct Direction {
  int64_t size = 1, kernel = 1, stride = 1, before = 0, after = 0;
  int64_t windows() const { return (size + before + after - kernel) / stride + 1; }
  int64_t begin(int64_t window) const { return std::max<int64_t>(window * stride - before, 0); }
  int64_t end(int64_t window) const { return std::min(window * stride - before + kernel, size); }
};

// Downwards and across; a frame without rows has one.
struct Geometry {
  int64_t images = 1, channels = 1;
  Direction down, across;
};

std::string function(const Node& node) { return node.text("function", "max"); }
int64_t pad_value(const Node& node) { return node.integer("pad_value", 0); }

Geometry geometry(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  const Shape& shape = node.in_type(0).shape;
  if (shape.size() != 3 && shape.size() != 4) {
    throw Error(fmt::format("takes [N,H,W,C] or [N,L,C], found {}", to_string(shape)));
  }
  const size_t directions = shape.size() - 2;
  const std::vector<int64_t> kernel = node.integers("kernel", {});
  const std::vector<int64_t> stride = node.integers("stride", std::vector<int64_t>(directions, 1));
  const std::vector<int64_t> pad = node.integers("pad", std::vector<int64_t>(2 * directions, 0));
  if (kernel.size() != directions || stride.size() != directions || pad.size() != 2 * directions) {
    throw Error(fmt::format("kernel {}, stride {}, pad {} for {}", to_string(kernel),
                            to_string(stride), to_string(pad), to_string(shape)),
                fmt::format("give {} of kernel and stride, {} of pad", directions, 2 * directions));
  }
  Geometry geometry{.images = shape[0], .channels = shape.back(), .down = {}, .across = {}};
  for (size_t d = 0; d < directions; ++d) {
    const Direction direction{shape[1 + d], kernel[d], stride[d], pad[d], pad[directions + d]};
    constexpr int64_t kMost = int64_t{1} << 32;
    if (direction.kernel < 1 || direction.stride < 1 || direction.kernel > kMost ||
        direction.stride > kMost) {
      throw Error(fmt::format("kernel {} with stride {}", direction.kernel, direction.stride),
                  fmt::format("legal values are 1 to {}", kMost));
    }
    if (direction.before < 0 || direction.after < 0 || direction.before >= direction.kernel ||
        direction.after >= direction.kernel) {
      throw Error(fmt::format("pad {} before and {} after with a kernel of {}", direction.before,
                              direction.after, direction.kernel),
                  "padding is smaller than the kernel: a window has an element of the frame");
    }
    if (direction.kernel > direction.size + direction.before + direction.after) {
      throw Error(fmt::format("a kernel of {} on {} elements with padding {} and {}",
                              direction.kernel, direction.size, direction.before, direction.after),
                  "the padded frame holds at least one window");
    }
    (d + 1 == directions ? geometry.across : geometry.down) = direction;
  }
  return geometry;
}

std::vector<Type> infer(const Node& node) {
  const Geometry g = geometry(node);
  const Type& type = node.in_type(0);
  Shape shape{g.images, g.across.windows(), g.channels};
  if (type.shape.size() == 4) shape.insert(shape.begin() + 1, g.down.windows());
  const std::string name = function(node);
  if (name == "max" || name == "min") return {integer_type(type.bits, type.is_signed, shape)};
  if (name != "sum") {
    throw Error(fmt::format("function '{}'", name), "legal values are max, min, sum");
  }
  int64_t lo = type.min(), hi = type.max();
  if (g.down.before + g.down.after + g.across.before + g.across.after > 0) {
    lo = std::min(lo, pad_value(node)), hi = std::max(hi, pad_value(node));
  }
  const int64_t count = g.down.kernel * g.across.kernel;
  constexpr int64_t kMost = int64_t{1} << 53;
  if (std::max(hi, -lo) > kMost / count || lo < -kMost) {
    throw Error(fmt::format("sums of {} elements of {}", count, element_name(type)),
                "sums have at most 53 bits");
  }
  return {type_for_range(count * lo, count * hi, shape)};
}

// Every window along one direction, where each place is a run of `inner` elements.
template <class Combine>
std::vector<int64_t> pooled(const std::vector<int64_t>& x, const Direction& direction,
                            int64_t inner, int64_t padding, const Combine& combine) {
  const int64_t windows = direction.windows();
  const int64_t outer = static_cast<int64_t>(x.size()) / (direction.size * inner);
  std::vector<int64_t> y(outer * windows * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t window = 0; window < windows; ++window) {
      int64_t* to = y.data() + (o * windows + window) * inner;
      const int64_t begin = direction.begin(window), end = direction.end(window);
      const int64_t* from = x.data() + (o * direction.size + begin) * inner;
      std::copy_n(from, inner, to);
      for (int64_t place = begin + 1; place < end; ++place) {
        from += inner;
        for (int64_t i = 0; i < inner; ++i) to[i] = combine(to[i], from[i]);
      }
      const int64_t added = (direction.kernel - (end - begin)) * padding;
      for (int64_t i = 0; i < inner; ++i) to[i] += added;
    }
  }
  return y;
}

template <class Combine>
Tensor pooled(const Node& node, const Tensor& in, int64_t padding, const Combine& combine) {
  const Geometry g = geometry(node);
  const auto rows = pooled(in.ints, g.across, g.channels, padding, combine);
  return make_ints(node.out[0], pooled(rows, g.down, g.across.windows() * g.channels,
                                       padding * g.across.kernel, combine));
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const std::string name = function(node);
  if (name == "sum") {
    return {pooled(node, *in[0], pad_value(node), [](int64_t a, int64_t b) { return a + b; })};
  }
  if (name == "max") {
    return {pooled(node, *in[0], 0, [](int64_t a, int64_t b) { return std::max(a, b); })};
  }
  return {pooled(node, *in[0], 0, [](int64_t a, int64_t b) { return std::min(a, b); })};
}

// ONNX pools channels-first frames. A sum is a convolution with ones, a least element the negative
// of the largest negative.
void to_onnx(const Node& node, OnnxSink& sink) {
  const Geometry g = geometry(node);
  const bool rows = node.in_type(0).shape.size() == 4;
  const std::string name = function(node);
  const auto channels_first = [&](const Type& type, int64_t down, int64_t across) {
    Shape shape{g.images, g.channels, across};
    if (rows) shape.insert(shape.begin() + 2, down);
    return integer_type(type.bits, type.is_signed, shape);
  };
  const Type &from = node.in_type(0), &to = node.out[0];
  std::string value = sink.temporary("frame", channels_first(from, g.down.size, g.across.size));
  const std::vector<int64_t> first = rows ? std::vector<int64_t>{0, 3, 1, 2} : Shape{0, 2, 1};
  const std::vector<int64_t> last = rows ? std::vector<int64_t>{0, 2, 3, 1} : Shape{0, 2, 1};
  sink.node("", "Transpose", {sink.input(0)}, {value}, {{"perm", first}});

  std::vector<int64_t> kernel{g.across.kernel}, stride{g.across.stride},
      pads{g.across.before, g.across.after};
  if (rows) {
    kernel.insert(kernel.begin(), g.down.kernel), stride.insert(stride.begin(), g.down.stride);
    pads = {g.down.before, g.across.before, g.down.after, g.across.after};
  }
  const auto negated = [&](const Type& type, int64_t down, int64_t across) {
    const std::string result = sink.temporary(
        "negated", channels_first(type_for_range(-type.max(), -type.min(), {}), down, across));
    sink.node("", "Neg", {value}, {result});
    value = result;
  };
  if (name == "min") negated(from, g.down.size, g.across.size);
  const auto result_type = channels_first(to, g.down.windows(), g.across.windows());
  std::map<std::string, Attr, std::less<>> attr{{"kernel_shape", kernel}, {"strides", stride}};
  const std::string result = sink.temporary("pooled", result_type);
  if (name == "sum") {
    if (pad_value(node) != 0) {
      std::vector<int64_t> pad{0, 0, g.across.before, 0, 0, g.across.after};
      if (rows) {
        pad = {0, 0, g.down.before, g.across.before, 0, 0, g.down.after, g.across.after};
      }
      const std::string padded = sink.temporary(
          "padded", channels_first(type_for_range(std::min(from.min(), pad_value(node)),
                                                  std::max(from.max(), pad_value(node)), {}),
                                   g.down.size + g.down.before + g.down.after,
                                   g.across.size + g.across.before + g.across.after));
      sink.node(
          "", "Pad",
          {value,
           sink.index_constant(make_ints(Shape{static_cast<int64_t>(pad.size())}, pad), "pad"),
           sink.constant(make_ints(Shape{}, {pad_value(node)}), "pad_value")},
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
  if (name == "min") negated(to, g.down.windows(), g.across.windows());
  sink.node("", "Transpose", {value}, {sink.output(0)}, {{"perm", last}});
}

}  // namespace

extern const Op op_pool;
const Op op_pool{.name = "pool",
                 .doc = "largest, least or sum of each window of a frame",
                 .kind = Op::Kind::hardware,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .finn_name = "Pool"};

}  // namespace foldstream
