// SPDX-License-Identifier: Apache-2.0
#include "src/source/order.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace foldstream {
namespace {

constexpr int64_t kMostPoints = int64_t{1} << 24;

template <class T>
const T& at(const std::vector<T>& values, int64_t channel) {
  return values.size() == 1 ? values[0] : values.at(channel);
}

float reference(const Traced& traced, int64_t q, int64_t channel) {
  const double scaled = at(traced.scale, channel) * static_cast<double>(q);
  auto x = static_cast<float>(scaled + at(traced.bias, channel));
  for (const Step& step : traced.steps) x = step.apply(x, channel);
  return x;
}

}  // namespace

std::optional<std::string> order_obstacle(const Traced& traced) {
  const int64_t channels = traced.channels();
  const int64_t lo = *std::min_element(traced.lo.begin(), traced.lo.end());
  const int64_t hi = *std::max_element(traced.hi.begin(), traced.hi.end());
  if (hi - lo >= kMostPoints / channels) return "its operand has too many values to try out";
  float before = 0;
  for (int64_t q = lo; q <= hi; ++q) {
    const float value = reference(traced, q, 0);
    for (int64_t c = 1; c < channels; ++c) {
      if (reference(traced, q, c) != value) {
        return fmt::format("channels 0 and {} of its operand differ in scale or bias", c);
      }
    }
    if (q > lo && !(value > before)) {
      return fmt::format("its operand does not rise strictly with the integers before it (at {})",
                         q);
    }
    before = value;
  }
  return std::nullopt;
}

}  // namespace foldstream
