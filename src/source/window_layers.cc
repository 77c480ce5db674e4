// SPDX-License-Identifier: Apache-2.0
#include "src/source/window_layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/ir/op.h"
#include "src/source/linear.h"

namespace foldstream {
namespace {

constexpr int kChannels = 1;  // the axis of [N, C, ...]

template <class T>
const T& at(const std::vector<T>& values, int64_t i) {
  return values.size() == 1 ? values[0] : values.at(i);
}

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
  std::vector<int> order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (rank > 2) std::rotate(order.begin() + kChannels, order.begin() + kChannels + 1, order.end());
  return order;
}

std::optional<int64_t> zero_code(Lowering& lowering, Traced& x) {
  const size_t entries = std::max(x.scale.size(), x.bias.size());
  std::vector<int64_t> doubled;
  for (size_t c = 0; c < entries; ++c) {
    const double scale = at(x.scale, static_cast<int64_t>(c));
    const double bias = at(x.bias, static_cast<int64_t>(c));
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
  if (whole && all_are(doubled, doubled[0])) return doubled[0] / 2;

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
    lo[c] = factor * at(x.lo, i) + at(shift, i);
    hi[c] = factor * at(x.hi, i) + at(shift, i);
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
    for (const int64_t c : sums.channel) sums.column_scale.push_back(at(w->scale, c));
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
    const double scale = at(result.scale, c);
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

}  // namespace foldstream
