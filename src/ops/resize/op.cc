// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/onnx_node.h"
#include "src/source/import.h"
#include "src/source/moves.h"
#include "src/source/window.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Resize", "Upsample"};

// What the node wants along each axis: the size of the result and how many of its elements fall on
// one of the operand.
struct Wanted {
  Shape size;
  std::vector<double> scale;
};

std::vector<double> scales_operand(const OnnxNode& source, size_t port) {
  const Tensor& scales = float_operand(source, port, "the scales");
  if (scales.type.shape.size() != 1) {
    throw Error(fmt::format("the scales are {}", to_string(scales.type)));
  }
  for (const double scale : scales.reals) {
    constexpr double kMost = 1 << 16;
    if (!(scale > 0 && scale <= kMost)) {
      throw Error(fmt::format("a scale is {}, expected more than 0 and at most {}", scale, kMost));
    }
  }
  return scales.reals;
}

Wanted wanted_of(const OnnxNode& source, const Shape& from) {
  Wanted wanted{from, std::vector<double>(from.size(), 1)};
  Shape axes(from.size());
  for (size_t d = 0; d < axes.size(); ++d) axes[d] = static_cast<int64_t>(d);
  if (const std::vector<int64_t>* given = integers_attr(source, "axes")) axes = *given;
  for (int64_t& axis : axes) axis = checked_axis(axis, from.size());
  const auto expect = [&](size_t found) {
    if (found != axes.size()) {
      throw Error(fmt::format("{} scales or sizes for {} axes", found, axes.size()));
    }
  };
  const bool upsample = source.type == "Upsample";
  const auto attr = source.tensors.find("scales");  // Upsample until operator set 8
  const size_t port = upsample || source.version < 11 ? 1 : 2;
  const bool empty = source.has(port) && source.in[port].type().count() == 0;
  if (attr != source.tensors.end() || (source.has(port) && !empty)) {
    const std::vector<double> scales =
        attr != source.tensors.end() ? attr->second.reals : scales_operand(source, port);
    expect(scales.size());
    for (size_t i = 0; i < axes.size(); ++i) {
      wanted.scale[axes[i]] = scales[i];
      wanted.size[axes[i]] =
          static_cast<int64_t>(std::floor(static_cast<double>(from[axes[i]]) * scales[i]));
    }
    return wanted;
  }
  const Shape sizes = integers_operand(source, 3, "the sizes");
  expect(sizes.size());
  if (text_attr(source, "keep_aspect_ratio_policy", "stretch") != "stretch") {
    throw Error("keeps the aspect ratio", "name the size of the result exactly");
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t size = from[axes[i]];
    if (size == 0 || sizes[i] < 1) throw Error(fmt::format("size {} from {}", sizes[i], size));
    wanted.size[axes[i]] = sizes[i];
    wanted.scale[axes[i]] = static_cast<double>(sizes[i]) / static_cast<double>(size);
  }
  return wanted;
}

// Which element of an axis each element of the result is, as ONNX defines the nearest one.
std::vector<int64_t> nearest(const OnnxNode& source, int64_t from, int64_t to, double scale) {
  const bool upsample = source.type == "Upsample" || source.version < 11;
  const std::string where =
      upsample ? "asymmetric" : text_attr(source, "coordinate_transformation_mode", "half_pixel");
  const std::string how =
      upsample ? "floor" : text_attr(source, "nearest_mode", "round_prefer_floor");
  const auto position = [&](double i) {
    if (where == "asymmetric") return i / scale;
    if (where == "half_pixel") return (i + 0.5) / scale - 0.5;
    if (where == "pytorch_half_pixel") return to > 1 ? (i + 0.5) / scale - 0.5 : 0.0;
    if (where == "align_corners") {
      return to > 1 ? i * static_cast<double>(from - 1) / static_cast<double>(to - 1) : 0.0;
    }
    if (where == "half_pixel_symmetric") {
      const double adjustment = static_cast<double>(to) / (scale * static_cast<double>(from));
      const double centre = static_cast<double>(from) / 2;
      return centre * (1 - adjustment) + (i + 0.5) / scale - 0.5;
    }
    throw Error(fmt::format("its coordinate_transformation_mode is '{}'", where),
                "supported are asymmetric, half_pixel, half_pixel_symmetric, pytorch_half_pixel "
                "and align_corners");
  };
  const auto rounded = [&](double x) {
    if (how == "floor") return std::floor(x);
    if (how == "ceil") return std::ceil(x);
    if (how == "round_prefer_floor") return std::ceil(x - 0.5);
    if (how == "round_prefer_ceil") return std::floor(x + 0.5);
    throw Error(fmt::format("its nearest_mode is '{}'", how),
                "expected floor, ceil, round_prefer_floor or round_prefer_ceil");
  };
  std::vector<int64_t> out(to);
  for (int64_t i = 0; i < to; ++i) {
    const double x = rounded(position(static_cast<double>(i)));
    out[i] = static_cast<int64_t>(std::clamp(x, 0.0, static_cast<double>(from - 1)));
  }
  return out;
}

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 1, 4);
  const std::string mode = text_attr(source, "mode", "nearest");
  if (mode != "nearest") {
    throw Error(fmt::format("its mode is '{}'", mode),
                "only nearest is supported: interpolation is no integer arithmetic on codes");
  }
  const Shape from = source.in[0].type().shape;
  const Wanted wanted = wanted_of(source, from);
  const auto count = checked_element_count(wanted.size);
  if (!count || *count == 0 || element_count(from) == 0) {
    throw Error(fmt::format("makes {} of {}", to_string(wanted.size), to_string(from)));
  }
  // Repetition where that is all it is; any other choice of elements axis by axis.
  Shape repeat(from.size(), 1);
  std::vector<std::vector<int64_t>> picks(from.size());
  for (size_t d = 0; d < from.size(); ++d) {
    if (wanted.size[d] == from[d] && wanted.scale[d] == 1) continue;
    const int64_t times = wanted.size[d] / from[d];
    picks[d] = nearest(source, from[d], wanted.size[d], wanted.scale[d]);
    bool repeats = times * from[d] == wanted.size[d];
    for (int64_t i = 0; repeats && i < wanted.size[d]; ++i) repeats = picks[d][i] == i / times;
    if (!repeats) continue;
    repeat[d] = times;
    picks[d].clear();
  }
  Value result = source.in[0];
  if (std::any_of(repeat.begin(), repeat.end(), [](int64_t times) { return times != 1; })) {
    result = {&graph.add(require_op("resize"), {result}, source.name, {{"scale", repeat}}), 0};
  }
  for (size_t d = 0; d < from.size(); ++d) {
    if (picks[d].empty()) continue;
    const auto size = static_cast<int64_t>(picks[d].size());
    Tensor indices = make_ints(integer_type(64, true, {size}), std::move(picks[d]));
    result = {&graph.add(require_op("gather"), {result}, fmt::format("{}_axis{}", source.name, d),
                         {{"axis", static_cast<int64_t>(d)}}, {{"indices", std::move(indices)}}),
              0};
  }
  return {result};
}

std::vector<Type> infer(const Node& node) {
  if (node.in.size() != 1) throw Error("takes one operand");
  Type type = node.in_type(0);
  const Shape scale = node.integers("scale", {});
  constexpr int64_t kMost = int64_t{1} << 16;
  bool legal = scale.size() == type.shape.size();
  for (const int64_t s : scale) legal = legal && s >= 1 && s <= kMost;
  if (!legal) {
    throw Error(fmt::format("its scale is {}, expected a number from 1 to {} for each axis of {}",
                            to_string(scale), kMost, to_string(type)));
  }
  for (size_t d = 0; d < scale.size(); ++d) type.shape[d] *= scale[d];
  return {std::move(type)};
}

template <class T>
void repeat(const std::vector<T>& from, const Shape& shape, const Shape& scale,
            std::vector<T>& to) {
  // Axis by axis from the last: what one element has become is repeated as a whole.
  std::vector<T> now = from;
  int64_t inner = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    to.resize(now.size() * scale[d]);
    auto out = to.begin();
    for (auto at = now.begin(); at != now.end(); at += inner) {
      for (int64_t i = 0; i < scale[d]; ++i) out = std::copy_n(at, inner, out);
    }
    inner *= shape[d] * scale[d];
    now = to;
  }
}

std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  Tensor out = make_zero(node.out[0]);
  const Shape scale = node.integers("scale", {});
  if (out.type.is_float) {
    repeat(in[0]->reals, in[0]->type.shape, scale, out.reals);
  } else {
    repeat(in[0]->ints, in[0]->type.shape, scale, out.ints);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Shape scale = node.integers("scale", {});
  const auto count = static_cast<int64_t>(scale.size());
  sink.node("", "Resize",
            {sink.input(0), "",
             sink.constant(make_floats({count}, {scale.begin(), scale.end()}), "scales")},
            {sink.output(0)},
            {{"mode", std::string("nearest")},
             {"coordinate_transformation_mode", std::string("asymmetric")},
             {"nearest_mode", std::string("floor")}});
}

void lower(const Node& node, Lowering& lowering) {
  lower_upsample(lowering, node.integers("scale", {}));
}

}  // namespace

extern const Op op_resize;
const Op op_resize{.name = "resize",
                   .doc = "every element repeated a whole number of times along each axis",
                   .onnx = kOnnx,
                   .import = import,
                   .to_onnx = to_onnx,
                   .infer = infer,
                   .eval = eval,
                   .lower = lower};

}  // namespace foldstream
