// SPDX-License-Identifier: Apache-2.0
#include "src/source/order.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/ir/op.h"

namespace foldstream {
namespace {

constexpr int64_t kMostPoints = int64_t{1} << 24;

float reference(const Traced& traced, int64_t q, int64_t channel) {
  const double scaled = entry(traced.scale, channel) * static_cast<double>(q);
  auto x = static_cast<float>(scaled + entry(traced.bias, channel));
  for (const Step& step : traced.steps) x = step.apply(x, channel);
  return x;
}

// Biases that differ by multiples of the scale are integers to add.
std::vector<int64_t> shifts(const Traced& affine) {
  std::vector<int64_t> shift;
  const double scale = affine.scale[0];
  for (int64_t c = 0; c < affine.channels(); ++c) {
    const double steps = (entry(affine.bias, c) - entry(affine.bias, 0)) / scale;
    if (entry(affine.scale, c) != scale || !(std::abs(steps) < static_cast<double>(kMostPoints))) {
      return {};
    }
    shift.push_back(std::llround(steps));
  }
  const int64_t least = *std::min_element(shift.begin(), shift.end());
  for (int64_t& s : shift) s -= least;
  if (std::all_of(shift.begin(), shift.end(), [](int64_t s) { return s == 0; })) return {};
  return shift;
}

}  // namespace

Order order_of(const Lowering& lowering, size_t port) {
  const Traced& traced = lowering.in(port);
  const int64_t channels = traced.channels();
  Order order;
  if (const auto affine = lowering.affine(port)) order.shift = shifts(*affine);
  const auto shift = [&](int64_t c) { return order.shift.empty() ? 0 : order.shift[c]; };
  int64_t lo = entry(traced.lo, 0) + shift(0), hi = lo, points = 0;
  for (int64_t c = 0; c < channels; ++c) {
    lo = std::min(lo, entry(traced.lo, c) + shift(c));
    hi = std::max(hi, entry(traced.hi, c) + shift(c));
    points += entry(traced.hi, c) - entry(traced.lo, c) + 1;
  }
  if (points > kMostPoints || hi - lo >= kMostPoints) {
    order.obstacle = "its operand has too many values to try out";
    return order;
  }
  std::vector<float> value(hi - lo + 1, std::nanf(""));
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t q = entry(traced.lo, c); q <= entry(traced.hi, c); ++q) {
      float& known = value[q + shift(c) - lo];
      const float here = reference(traced, q, c);
      if (std::isnan(known)) known = here;
      if (!(known == here)) {
        order.obstacle = fmt::format("channel {} of its operand has another scale or bias", c);
        return order;
      }
    }
  }
  const float* before = nullptr;
  for (const float& here : value) {
    if (std::isnan(here)) continue;
    if (before != nullptr && !(here > *before)) {
      order.obstacle = "its operand does not rise strictly with the integers before it";
      return order;
    }
    before = &here;
  }
  return order;
}

void lower_to_selection(Lowering& lowering, int64_t k, const Shape& result_shape) {
  const Traced& operand = lowering.in(0);
  const std::string& name = lowering.node().name;
  Order order = order_of(lowering, 0);
  if (!order.obstacle.empty()) {
    return lowering.keep(order.obstacle,
                         "let one positive scale and one bias lie between the layer and this");
  }
  Graph& target = lowering.target();
  Value x = lowering.natural(operand);
  const int64_t classes = operand.shape.back();
  // Along another axis all that is selected from has one shift.
  if (!order.shift.empty() && operand.axis + 1 == static_cast<int>(operand.shape.size())) {
    x = {&target.add(require_op("add_constant"), {x}, name + "_bias", {},
                     {{"c", make_ints(Shape{classes}, std::move(order.shift))}}),
         0};
  }
  Value selected{&target.add(require_op("label_select"), {x}, name, {{"k", k}}), 0};
  if (selected.type().shape != result_shape) {
    selected = {
        &target.add(require_op("reshape"), {selected}, name + "_shape", {{"shape", result_shape}}),
        0};
  }
  Traced result;
  result.q = selected;
  result.lo = {0};
  result.hi = {classes - 1};
  lowering.set(0, std::move(result));
}

}  // namespace foldstream
