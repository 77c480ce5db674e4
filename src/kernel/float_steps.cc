// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/float_steps.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/float_steps.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;

HWY_INLINE hn::Vec<DI> levels_of(const FloatSteps& steps, V x) {
  const D d;
  const DI di;
  if (steps.levels <= 3) {
    auto count = hn::Zero(di);
    for (int64_t k = 1; k <= steps.levels; ++k) {
      const auto reached = hn::RebindMask(di, hn::Ge(x, hn::Set(d, steps.edges[k])));
      count = hn::Sub(count, hn::VecFromMask(di, reached));
    }
    return count;
  }
  const V line = hn::Floor(hn::Add(hn::Mul(x, hn::Set(d, steps.scale)), hn::Set(d, steps.offset)));
  const V top = hn::Set(d, static_cast<float>(steps.levels));
  auto level = hn::ConvertTo(di, hn::Min(hn::Max(line, hn::Zero(d)), top));
  if (steps.corrects) {
    const V from = hn::GatherIndex(d, steps.edges.data(), level);
    const V next = hn::GatherIndex(d, steps.edges.data() + 1, level);
    const auto up = hn::VecFromMask(di, hn::RebindMask(di, hn::Ge(x, next)));
    const auto down = hn::VecFromMask(di, hn::RebindMask(di, hn::Lt(x, from)));
    level =
        hn::Min(hn::Add(hn::Sub(level, up), down), hn::Set(di, static_cast<int32_t>(steps.levels)));
  }
  return hn::IfThenElseZero(hn::RebindMask(di, hn::Eq(x, x)), level);
}

void run(const FloatSteps& steps, const float* x, int64_t count, uint8_t* to) {
  const D d;
  const hn::Rebind<uint8_t, D> d8;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::DemoteTo(d8, levels_of(steps, hn::LoadU(d, x + i))), d8, to + i);
  }
  if (i == count) return;
  HWY_ALIGN float last[hn::MaxLanes(D())] = {};
  HWY_ALIGN int32_t levels[hn::MaxLanes(D())];
  std::copy(x + i, x + count, last);
  hn::Store(levels_of(steps, hn::Load(d, last)), DI(), levels);
  for (int64_t k = 0; i + k < count; ++k) to[i + k] = static_cast<uint8_t>(levels[k]);
}

FloatStepsRoutine routine() { return {run}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {
namespace {

HWY_EXPORT(routine);

// Floats in their order as integers, and back.
int64_t rank_of(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  return bits >= 0 ? bits : -static_cast<int64_t>(bits & 0x7FFFFFFF);
}
float of_rank(int64_t rank) {
  return std::bit_cast<float>(rank >= 0 ? static_cast<int32_t>(rank)
                                        : static_cast<int32_t>(-rank) | INT32_MIN);
}

int64_t on_line(const FloatSteps& steps, float x) {
  const float y = std::floor(x * steps.scale + steps.offset);
  return static_cast<int64_t>(std::clamp(y, 0.0F, static_cast<float>(steps.levels)));
}

}  // namespace

std::optional<FloatSteps> find_float_steps(int64_t levels,
                                           const std::function<int64_t(float)>& level) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (levels < 1 || levels > 255 || level(-kInfinity) != 0 || level(kInfinity) != levels) {
    return std::nullopt;
  }
  FloatSteps steps;
  steps.levels = levels;
  steps.edges.assign(levels + 2, kInfinity);
  steps.edges[0] = -kInfinity;
  int64_t low = rank_of(-kInfinity);
  for (int64_t k = 1; k <= levels; ++k) {
    int64_t high = rank_of(kInfinity);  // reaches level k; `low` may too
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (level(of_rank(middle)) >= k) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    steps.edges[k] = of_rank(high);
  }
  if (levels <= 3) return steps;
  const double first = steps.edges[1], last = steps.edges[levels];
  if (!std::isfinite(first) || !std::isfinite(last) || !(first < last)) return std::nullopt;
  const double scale = static_cast<double>(levels - 1) / (last - first);
  steps.scale = static_cast<float>(scale);
  steps.offset = static_cast<float>(1 - first * scale);
  if (!std::isfinite(steps.scale) || !std::isfinite(steps.offset)) return std::nullopt;
  for (int64_t k = 1; k <= levels; ++k) {
    const float edge = steps.edges[k], before = std::nextafter(edge, -kInfinity);
    const int64_t at = level(edge), under = level(before);
    const int64_t off =
        std::max(std::abs(on_line(steps, edge) - at), std::abs(on_line(steps, before) - under));
    if (off > 1) return std::nullopt;
    steps.corrects = steps.corrects || off != 0;
  }
  return steps;
}

FloatStepsRoutine float_steps_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }

}  // namespace foldstream::kernel
#endif
