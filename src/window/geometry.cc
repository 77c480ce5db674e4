// SPDX-License-Identifier: Apache-2.0
#include "src/window/geometry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream::window {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // of an attribute, so that products don't overflow

std::vector<int64_t> list(const Node& node, const char* name, size_t count, int64_t least,
                          int64_t absent) {
  const std::vector<int64_t> values = node.integers(name, std::vector<int64_t>(count, absent));
  const bool legal = values.size() == count &&
                     std::all_of(values.begin(), values.end(),
                                 [&](int64_t value) { return value >= least && value < kLargest; });
  if (!legal) {
    throw Error(fmt::format("{} = [{}]", name, fmt::join(values, ",")),
                fmt::format("expected {} integers of at least {}", count, least));
  }
  return values;
}

void check_axis(const Axis& axis, const char* name) {
  if (axis.before >= axis.reach() || axis.after >= axis.reach()) {
    throw Error(fmt::format("padding of {} and {} along {}, where the kernel reaches over {}",
                            axis.before, axis.after, name, axis.reach()),
                fmt::format("a window must touch the frame: legal are 0 to {}", axis.reach() - 1));
  }
  if (axis.reach() > axis.size + axis.before + axis.after) {
    throw Error(fmt::format("a kernel that reaches over {} along {} of {} and padding of {}",
                            axis.reach(), name, axis.size, axis.before + axis.after),
                "use a smaller kernel or dilation, or more padding");
  }
}

}  // namespace

Geometry::Geometry(const Node& node) {
  if (node.in.size() != 1 || node.in_type(0).is_float) throw Error("takes one integer operand");
  const Type& in = node.in_type(0);
  if (in.shape.size() != 3 && in.shape.size() != 4) {
    throw Error(fmt::format("an operand of shape {}", to_string(in.shape)),
                "expected channels last: [images, height, width, channels] or "
                "[images, length, channels]");
  }
  one_axis = in.shape.size() == 3;
  const size_t axes = one_axis ? 1 : 2;
  if (!node.attr.contains("kernel")) throw Error("'kernel' is missing");
  const auto kernel = list(node, "kernel", axes, 1, 1), stride = list(node, "stride", axes, 1, 1);
  const auto dilation = list(node, "dilation", axes, 1, 1), pad = list(node, "pad", 2 * axes, 0, 0);
  images = in.shape[0], channels = in.shape.back();
  const auto axis = [&](size_t at) {
    return Axis{in.shape[at + 1], kernel[at], stride[at], dilation[at], pad[at], pad[axes + at]};
  };
  if (!one_axis) rows = axis(0);
  columns = axis(axes - 1);
  check_axis(rows, "the height");
  check_axis(columns, one_axis ? "the length" : "the width");
  pad_value = node.integer("pad_value", 0);
  operand = element = integer_type(in.bits, in.is_signed, {});
  if (padded() && (pad_value < element.min() || pad_value > element.max())) {
    element =
        type_for_range(std::min(element.min(), pad_value), std::max(element.max(), pad_value), {});
  }
}

Shape Geometry::result(int64_t result_channels) const {
  Shape shape{images, rows.windows(), columns.windows(), result_channels};
  if (one_axis) shape.erase(shape.begin() + 1);
  return shape;
}

std::vector<int64_t> PaddedFrame::window_offsets() const {
  std::vector<int64_t> offsets;
  for (int64_t image = 0; image < g_.images; ++image) {
    for (int64_t row = 0; row < g_.rows.windows(); ++row) {
      for (int64_t column = 0; column < g_.columns.windows(); ++column) {
        offsets.push_back(
            ((image * height() + row * g_.rows.stride) * width() + column * g_.columns.stride) *
            bytes_);
      }
    }
  }
  return offsets;
}

std::vector<int64_t> PaddedFrame::tap_offsets() const {
  std::vector<int64_t> offsets;
  for (int64_t kh = 0; kh < g_.rows.kernel; ++kh) {
    for (int64_t kw = 0; kw < g_.columns.kernel; ++kw) {
      offsets.push_back((kh * g_.rows.dilation * width() + kw * g_.columns.dilation) * bytes_);
    }
  }
  return offsets;
}

std::string pad_onnx(const Geometry& g, OnnxSink& sink) {
  if (!g.padded()) return sink.input(0);
  Shape shape{g.images, g.rows.size + g.rows.before + g.rows.after,
              g.columns.size + g.columns.before + g.columns.after, g.channels};
  std::vector<int64_t> pads{0, g.rows.before, g.columns.before, 0,
                            0, g.rows.after,  g.columns.after,  0};
  if (g.one_axis) {
    shape.erase(shape.begin() + 1);
    pads.erase(pads.begin() + 5), pads.erase(pads.begin() + 1);
  }
  Type type = g.element;
  type.shape = std::move(shape);
  const std::string padded = sink.temporary("padded", type);
  const auto count = static_cast<int64_t>(pads.size());
  sink.node("", "Pad",
            {sink.input(0), sink.index_constant(make_ints(Shape{count}, std::move(pads)), "pads"),
             sink.constant(make_ints(Shape{}, {g.pad_value}), "pad_value")},
            {padded}, {{"mode", std::string("constant")}});
  return padded;
}

}  // namespace foldstream::window
