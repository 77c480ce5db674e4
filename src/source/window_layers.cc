// SPDX-License-Identifier: Apache-2.0
#include "src/source/window_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/op.h"
#include "src/source/linear.h"

namespace foldstream {
namespace {

constexpr int kChannels = 1;  // the axis of [N, C, ...]

bool all_are(const std::vector<int64_t>& values, int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
}

// What a stream of vectors per channel along axis 1 can't be made of.
bool has_other_axis(const Traced& x, Lowering& lowering) {
  if (x.axis < 0 || x.axis == kChannels) return false;
  lowering.keep(fmt::format("the scales of its operand vary along axis {}", x.axis),
                "scale along the channel axis");
  return true;
}

Traced channels_last_result(const Node& node, Value q) {
  Traced result;
  result.q = q;
  result.layout = {node.out[0].shape, channels_last_order(node.out[0].shape.size())};
  return result;
}

constexpr std::string_view kNoZero = "it pads, and zero is no integer of its operand";
constexpr std::string_view kNoZeroRemedy =
    "quantize the operand with a zero point that is an integer, or pad before the quantizer";

// Pads at the end as far as the last window reaches.
void end_where_windows_end(WindowShape& window, const Shape& from, const Shape& to) {
  const size_t axes = window.axes();
  for (size_t d = 0; d < axes; ++d) {
    const int64_t reach = (to[d + 2] - 1) * window.stride[d] + window.extent(d) - window.pad[d];
    window.pad[axes + d] = std::max<int64_t>(0, reach - from[d + 2]);
  }
}

}  // namespace

std::vector<int> channels_last_order(size_t rank) {
  std::vector<int> order = natural_order(rank);
  if (rank > 2) std::rotate(order.begin() + kChannels, order.begin() + kChannels + 1, order.end());
  return order;
}

std::optional<int64_t> zero_code(Lowering& lowering, Traced& x, bool centred) {
  const size_t entries = std::max(x.scale.size(), x.bias.size());
  std::vector<int64_t> doubled;
  for (size_t c = 0; c < entries; ++c) {
    const double scale = entry(x.scale, static_cast<int64_t>(c));
    const double bias = entry(x.bias, static_cast<int64_t>(c));
    if (bias == 0 && scale == 0) {
      doubled.push_back(0);
      continue;
    }
    const double twice = std::nearbyint(-2 * bias / scale);
    if (!std::isfinite(twice) || std::abs(twice) > 0x1p24 || twice * scale != -2 * bias) {
      return std::nullopt;
    }
    doubled.push_back(static_cast<int64_t>(twice));
  }
  const bool whole =
      std::all_of(doubled.begin(), doubled.end(), [](int64_t twice) { return twice % 2 == 0; });
  const bool may_stay = all_are(doubled, doubled[0]) && (!centred || doubled[0] == 0);
  if (whole && may_stay) return doubled[0] / 2;

  const int64_t factor = whole ? 1 : 2;
  const std::vector<int> order = channels_last_order(x.shape.size());
  Value q = lowering.ordered(x, order);
  const std::string& name = lowering.node().name;
  std::vector<int64_t> shift;
  for (const int64_t twice : doubled) shift.push_back(-twice * factor / 2);
  if (factor != 1) {
    q = {&lowering.target().add(require_op("multiply_constant"), {q}, name + "_doubled", {},
                                {{"c", make_ints(Shape{1}, {factor})}}),
         0};
  }
  const auto count = static_cast<int64_t>(shift.size());
  q = {&lowering.target().add(require_op("add_constant"), {q}, name + "_centred", {},
                              {{"c", make_ints(Shape{count}, shift)}}),
       0};
  x.q = q;
  x.layout = {x.shape, order};
  const size_t channels = std::max({shift.size(), x.lo.size(), x.hi.size()});
  std::vector<int64_t> lo(channels), hi(channels);
  for (size_t c = 0; c < channels; ++c) {
    const auto i = static_cast<int64_t>(c);
    lo[c] = factor * entry(x.lo, i) + entry(shift, i);
    hi[c] = factor * entry(x.hi, i) + entry(shift, i);
  }
  x.lo = std::move(lo), x.hi = std::move(hi);
  for (double& scale : x.scale) scale /= static_cast<double>(factor);
  x.bias = {0.0};
  return 0;
}

void lower_convolution(Lowering& lowering, WindowShape window, int64_t groups) {
  const Node& node = lowering.node();
  if (lowering.in(0).is_constant() || !lowering.in(1).is_constant()) {
    return lowering.keep("its weights are computed, or its operand is constant",
                         "put constant weights into operand 1");
  }
  std::optional<Traced> x = lowering.affine(0);
  if (!x) {
    return lowering.keep("a step before it that is not affine is not followed by a quantizer",
                         "quantize the activation before this layer");
  }
  const std::optional<Traced> w = lowering.weights(1);
  if (!w) {
    return lowering.keep("its weights are not integers times a scale", "quantize the weights");
  }
  if (has_other_axis(*x, lowering)) return;
  if (w->axis > 1) {
    return lowering.keep(fmt::format("the scales of its weights vary along axis {}", w->axis),
                         "scale the weights by output or input channel");
  }
  std::optional<int64_t> pad;
  if (window.padded()) {
    pad = zero_code(lowering, *x);
    if (!pad) return lowering.keep(std::string(kNoZero), std::string(kNoZeroRemedy));
  }

  const Shape& shape = w->codes->type.shape;
  const int64_t positions = window.positions(), channels = shape[1];
  const bool depthwise = channels == 1 && groups == shape[0] && groups > 1;
  WeightedSums sums;
  sums.rows = shape[0], sums.columns = positions * channels, sums.groups = groups;
  sums.group_channels = channels;
  for (int64_t k = 0; k < positions; ++k) {
    for (int64_t c = 0; c < channels; ++c) sums.channel.push_back(c);
  }
  if (w->axis == 1) {
    for (const int64_t c : sums.channel) sums.column_scale.push_back(entry(w->scale, c));
    sums.column_scale.erase(sums.column_scale.begin());
  } else {
    sums.row_scale = w->scale;
  }
  sums.weights.resize(w->codes->ints.size());
  for (int64_t r = 0; r < sums.rows; ++r) {
    const int64_t* from = w->codes->ints.data() + r * sums.columns;
    int64_t* to = sums.weights.data() + r * sums.columns;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < positions; ++k) to[k * channels + c] = from[c * positions + k];
    }
  }
  Traced result = channels_last_result(node, {});
  if (const auto obstacle = describe_sums(*x, pad, sums, result)) {
    return lowering.keep(obstacle->first, obstacle->second);
  }
  result.axis = kChannels;

  Graph& target = lowering.target();
  Value q = lowering.ordered(*x, channels_last_order(x->shape.size()));
  NodeAttributes attr = window_attributes(window, true);
  if (pad && *pad != 0) attr["pad_value"] = *pad;
  Tensor weights = make_ints(Shape{sums.rows, sums.columns}, std::move(sums.weights));
  if (depthwise && positions > 1) {
    result.q = {&target.add(require_op("vvau"), {q}, node.name, std::move(attr),
                            {{"w", std::move(weights)}}),
                0};
    return lowering.set(0, std::move(result));
  }
  if (positions > 1 || !all_are(window.stride, 1) || window.padded()) {
    if (groups > 1) attr["groups"] = groups;
    q = {&target.add(require_op("sliding_window"), {q}, node.name + "_window", std::move(attr)), 0};
  }
  attr.clear();
  if (groups > 1) attr["groups"] = groups;
  result.q = {
      &target.add(require_op("mvau"), {q}, node.name, std::move(attr), {{"w", std::move(weights)}}),
      0};
  lowering.set(0, std::move(result));
}

namespace {

// A transposed convolution along one axis: output place o is y[j * stride + phase - begin] with
// j = first ... last, and y there sums x[j - t] * w[phase + t * stride] for t < taps.
struct Phases {
  int64_t stride = 1, kernel = 1, taps = 1, first = 0, last = 0;
  int64_t cut = 0;  // elements before the result begins

  Phases(const WindowShape& window, size_t axis, int64_t size)
      : stride(window.stride[axis]), kernel(window.kernel[axis]) {
    taps = (kernel + stride - 1) / stride;
    first = window.pad[axis] / stride;
    last = (window.pad[axis] + size - 1) / stride;
    cut = window.pad[axis] - first * stride;
  }
};

}  // namespace

void lower_transposed_convolution(Lowering& lowering, const WindowShape& window, int64_t groups) {
  const Node& node = lowering.node();
  if (lowering.in(0).is_constant() || !lowering.in(1).is_constant()) {
    return lowering.keep("its weights are computed, or its operand is constant",
                         "put constant weights into operand 1");
  }
  std::optional<Traced> x = lowering.affine(0);
  const std::optional<Traced> w = lowering.weights(1);
  if (!x || !w) {
    return lowering.keep("its operand or its weights are not integers times a scale",
                         "quantize both in front of this layer");
  }
  if (has_other_axis(*x, lowering)) return;
  if (!all_are(window.dilation, 1) || w->axis > 1 || (w->axis == 0 && groups > 1)) {
    return lowering.keep("it is dilated, or its weights have scales along several axes",
                         "spread without dilation, with weights scaled by output channel");
  }
  if (!zero_code(lowering, *x, true)) {
    return lowering.keep(std::string(kNoZero), std::string(kNoZeroRemedy));
  }

  // Rows (phase..., m) over columns (tap..., c); channels of other groups weigh nothing.
  const Shape& shape = w->codes->type.shape;
  const size_t axes = window.axes();
  const int64_t channels = shape[0], group_rows = shape[1], rows = groups * group_rows;
  const int64_t positions = window.positions();
  std::vector<Phases> along;
  Shape strides, taps, pad(2 * axes);
  for (size_t d = 0; d < axes; ++d) {
    const Phases phases(window, d, node.out[0].shape[d + 2]);
    along.push_back(phases);
    strides.push_back(phases.stride), taps.push_back(phases.taps);
    pad[d] = phases.taps - 1 - phases.first;
    pad[axes + d] = phases.last - (x->shape[d + 2] - 1);
  }
  for (size_t d = 0; d < 2 * axes; ++d) {
    if (pad[d] >= 0 && pad[d] < taps[d % axes]) continue;
    return lowering.keep("it cuts off more than the elements at its edges reach, or adds to it",
                         "crop or pad the result instead");
  }
  const int64_t phases = element_count(strides), tap_count = element_count(taps);
  WeightedSums sums;
  sums.rows = phases * rows, sums.columns = tap_count * channels, sums.group_channels = channels;
  sums.weights.assign(sums.rows * sums.columns, 0);
  for (int64_t k = 0; k < tap_count; ++k) {
    for (int64_t c = 0; c < channels; ++c) sums.channel.push_back(c);
  }
  for (int64_t position = 0; position < positions; ++position) {
    int64_t phase = 0, tap = 0, rest = position;
    for (size_t d = 0; d < axes; ++d) {
      int64_t inner = 1;
      for (size_t e = d + 1; e < axes; ++e) inner *= window.kernel[e];
      const int64_t k = rest / inner;
      rest %= inner;
      phase = phase * along[d].stride + k % along[d].stride;
      tap = tap * along[d].taps + along[d].taps - 1 - k / along[d].stride;
    }
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t group = c / (channels / groups);
      for (int64_t m = 0; m < group_rows; ++m) {
        const int64_t row = phase * rows + group * group_rows + m;
        sums.weights[row * sums.columns + tap * channels + c] =
            w->codes->ints[(c * group_rows + m) * positions + position];
      }
    }
  }
  if (w->axis == 0) {
    sums.column_scale.clear();
    for (const int64_t c : sums.channel) sums.column_scale.push_back(entry(w->scale, c));
  } else {
    sums.row_scale.clear();
    for (int64_t r = 0; r < sums.rows; ++r) {
      sums.row_scale.push_back(entry(w->scale, r % rows % group_rows));
    }
  }
  Traced by_phase;
  if (const auto obstacle = describe_sums(*x, 0, sums, by_phase)) {
    return lowering.keep(obstacle->first, obstacle->second);
  }
  Traced result = channels_last_result(node, {});
  result.axis = kChannels;
  result.scale.assign(by_phase.scale.begin(), by_phase.scale.begin() + rows);
  result.bias = {0.0};
  result.lo.assign(rows, 0), result.hi.assign(rows, 0);
  for (int64_t r = 0; r < sums.rows; ++r) {
    result.lo[r % rows] = std::min(result.lo[r % rows], by_phase.lo[r]);
    result.hi[r % rows] = std::max(result.hi[r % rows], by_phase.hi[r]);
  }

  Graph& target = lowering.target();
  Value q = lowering.ordered(*x, channels_last_order(x->shape.size()));
  WindowShape inner{taps, Shape(axes, 1), Shape(axes, 1), pad};
  if (tap_count > 1 || inner.padded()) {
    q = {&target.add(require_op("sliding_window"), {q}, node.name + "_window",
                     window_attributes(inner, true)),
         0};
  }
  q = {&target.add(require_op("mvau"), {q}, node.name, {},
                   {{"w", make_ints(Shape{sums.rows, sums.columns}, std::move(sums.weights))}}),
       0};
  // [N, j..., phase..., m] to [N, (j, phase)..., m], then what the padding leaves.
  Shape apart{x->shape[0]}, joined{x->shape[0]};
  std::vector<int64_t> perm{0}, begin{0}, end{x->shape[0]};
  for (const Phases& phase : along) apart.push_back(phase.last - phase.first + 1);
  apart.insert(apart.end(), strides.begin(), strides.end());
  apart.push_back(rows);
  for (size_t d = 0; d < axes; ++d) {
    perm.push_back(static_cast<int64_t>(1 + d)), perm.push_back(static_cast<int64_t>(1 + axes + d));
    joined.push_back(apart[1 + d] * strides[d]);
    begin.push_back(along[d].cut), end.push_back(along[d].cut + node.out[0].shape[d + 2]);
  }
  perm.push_back(static_cast<int64_t>(1 + 2 * axes));
  joined.push_back(rows), begin.push_back(0), end.push_back(rows);
  const auto view = [&](const Shape& to, std::string_view what) {
    q = {&target.add(require_op("reshape"), {q}, fmt::format("{}_{}", node.name, what),
                     {{"shape", to}}),
         0};
  };
  if (phases > 1) {
    view(apart, "phases");
    q = {&target.add(require_op("shuffle"), {q}, node.name + "_interleaved", {{"perm", perm}}), 0};
    view(joined, "joined");
  }
  if (end != joined || !all_are(begin, 0)) {
    q = {&target.add(require_op("crop"), {q}, node.name + "_cut", {{"begin", begin}, {"end", end}}),
         0};
  }
  result.q = q;
  lowering.set(0, std::move(result));
}

void lower_max_pool(Lowering& lowering, WindowShape window) {
  const Node& node = lowering.node();
  Traced result = lowering.in(0);
  if (!result.is_integer()) return lowering.keep("its operand is constant", "");
  if (has_other_axis(result, lowering)) return;
  if (!all_are(window.dilation, 1)) {
    return lowering.keep("its windows are dilated", "pool over neighbours");
  }
  // The greatest value is that of the greatest integer where all before it rises, of the least
  // where it falls.
  int direction = 0;
  for (int64_t c = 0; c < result.channels(); ++c) {
    const double scale = entry(result.scale, c);
    int here = (scale > 0) - (scale < 0);
    for (const Step& step : result.steps) here *= step.direction(c);
    const bool constant = scale == 0;
    if (constant) continue;
    if (here == 0 || (direction != 0 && direction != here)) {
      return lowering.keep("its operand rises with its integers in some channels only",
                           "quantize before the pool");
    }
    direction = here;
  }
  end_where_windows_end(window, node.in_type(0).shape, node.out[0].shape);
  const Value q = lowering.ordered(result, channels_last_order(result.shape.size()));
  NodeAttributes attr = window_attributes(window, true);
  attr.emplace("function", std::string(direction < 0 ? "min" : "max"));
  result.q = {&lowering.target().add(require_op("pool"), {q}, node.name, std::move(attr)), 0};
  result.layout = {node.out[0].shape, channels_last_order(node.out[0].shape.size())};
  // Steps repeated on the host have the shape of their own operands.
  lowering.set(0, std::move(result));
}

void lower_average_pool(Lowering& lowering, WindowShape window, bool counts_pad) {
  const Node& node = lowering.node();
  std::optional<Traced> x = lowering.affine(0);
  if (!x || !x->is_integer()) {
    return lowering.keep("a step before it that is not affine is not followed by a quantizer",
                         "quantize the activation before the pool");
  }
  if (has_other_axis(*x, lowering)) return;
  const std::vector<int64_t> declared = window.pad;
  end_where_windows_end(window, node.in_type(0).shape, node.out[0].shape);
  const bool beyond = window.pad > declared;
  std::optional<int64_t> pad;
  if (window.padded()) {
    if (!counts_pad || beyond) {
      return lowering.keep("its windows at the edge count fewer elements than the others",
                           "count the padding (count_include_pad), or don't pad");
    }
    pad = zero_code(lowering, *x);
    if (!pad) return lowering.keep(std::string(kNoZero), std::string(kNoZeroRemedy));
  }
  const int64_t positions = window.positions();
  Traced result = channels_last_result(node, {});
  NodeAttributes attr = window_attributes(window, true);
  attr.erase("dilation");
  if (pad && *pad != 0) attr["pad_value"] = *pad;
  attr.emplace("function", std::string("sum"));
  const Value q = lowering.ordered(*x, channels_last_order(x->shape.size()));
  result.q = {&lowering.target().add(require_op("pool"), {q}, node.name, std::move(attr)), 0};
  result.axis = x->axis;
  result.scale = std::move(x->scale), result.bias = std::move(x->bias);
  for (double& scale : result.scale) scale /= static_cast<double>(positions);
  result.lo = std::move(x->lo), result.hi = std::move(x->hi);
  for (int64_t& lo : result.lo) lo = positions * (pad ? std::min(lo, *pad) : lo);
  for (int64_t& hi : result.hi) hi = positions * (pad ? std::max(hi, *pad) : hi);
  lowering.set(0, std::move(result));
}

void lower_reduction(Lowering& lowering, const std::vector<int64_t>& axes, bool mean) {
  std::optional<Traced> x = lowering.affine(0);
  if (!x || !x->is_integer()) {
    return lowering.keep("a step before it that is not affine is not followed by a quantizer",
                         "quantize the activation before it");
  }
  const auto rank = static_cast<int>(x->shape.size());
  const auto reduced = [&](int axis) {
    return std::find(axes.begin(), axes.end(), axis) != axes.end();
  };
  std::vector<int> order{0}, rest;
  Shape kernel, dims = x->shape;
  for (int axis = 1; axis < rank; ++axis) {
    if (!reduced(axis)) {
      rest.push_back(axis);
      continue;
    }
    order.push_back(axis);
    kernel.push_back(x->shape[axis]);
    dims[axis] = 1;
  }
  if (rank < 3 || reduced(0) || rest.size() != 1 || kernel.size() > 2 ||
      (x->axis >= 0 && x->axis != rest[0])) {
    return lowering.keep("it reduces other axes than one or two of positions",
                         "reduce over positions and leave batch and channels");
  }
  order.push_back(rest[0]);
  const int64_t count = element_count(kernel);
  const Node& node = lowering.node();
  Traced result;
  result.q = {&lowering.target().add(require_op("pool"), {lowering.ordered(*x, order)}, node.name,
                                     {{"kernel", kernel}, {"function", std::string("sum")}}),
              0};
  result.layout = {dims, order};
  if (x->axis >= 0) result.axis = node.out[0].shape.size() == dims.size() ? x->axis : 1;
  result.scale = std::move(x->scale), result.bias = std::move(x->bias);
  if (mean) {
    for (double& scale : result.scale) scale /= static_cast<double>(count);
  } else {
    for (double& bias : result.bias) bias *= static_cast<double>(count);
  }
  result.lo = std::move(x->lo), result.hi = std::move(x->hi);
  for (int64_t& lo : result.lo) lo *= count;
  for (int64_t& hi : result.hi) hi *= count;
  lowering.set(0, std::move(result));
}

}  // namespace foldstream
