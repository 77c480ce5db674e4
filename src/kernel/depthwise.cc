// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/depthwise.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/depthwise.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/finish-inl.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<int32_t>;
constexpr int64_t kLanes = hn::MaxLanes(D());

// A block of so many channels at a time, whose sums are finished in blocks of kLanes.
#if HWY_TARGET == HWY_SCALAR
constexpr int64_t kNarrowChannels = 1;
#else
constexpr int64_t kNarrowChannels = 2 * kLanes;
#endif

constexpr int64_t kSome = 16;  // vectors at a time

void run_narrow(const DepthwiseLayer& layer, const uint8_t* const* vectors, uint8_t* const* outs,
                int64_t count) {
  const D d;
#if HWY_TARGET == HWY_SCALAR
  const hn::Sisd<int16_t> d16;
#else
  const hn::Repartition<int16_t, D> d16;
#endif
  const hn::Rebind<uint8_t, decltype(d16)> d8;
  const hn::Rebind<int16_t, D> d16_half;
  for (int64_t begin = 0; begin < count; begin += kSome) {
    const int64_t some = HWY_MIN(kSome, count - begin);
    for (int64_t channel = 0, block = 0; channel < layer.channels; channel += kNarrowChannels) {
      const int16_t* weights = layer.narrow_weights.data() + channel * layer.taps;
      HWY_ALIGN int32_t sums[kSome * kNarrowChannels];
      for (int64_t v = 0; v < some; ++v) {
        const uint8_t* x = vectors[begin + v] + channel;
        auto sum = hn::Zero(d16);
        for (int64_t tap = 0; tap < layer.taps; ++tap) {
          const auto values = hn::PromoteTo(d16, hn::LoadU(d8, x + layer.tap_offsets[tap]));
          sum = hn::Add(sum, hn::Mul(values, hn::LoadU(d16, weights + tap * kNarrowChannels)));
        }
        HWY_ALIGN int16_t narrow[kNarrowChannels];
        hn::Store(sum, d16, narrow);
        for (int64_t i = 0; i < kNarrowChannels; i += kLanes) {
          hn::Store(hn::PromoteTo(d, hn::LoadU(d16_half, narrow + i)), d,
                    sums + v * kNarrowChannels + i);
        }
      }
      for (int64_t i = 0; i < kNarrowChannels && block < layer.finish.blocks(); i += kLanes) {
        store_blocks(d, sums + i, kNarrowChannels, layer.finish, block++, outs + begin, some);
      }
    }
  }
}

void run_wide(const DepthwiseLayer& layer, const uint8_t* const* vectors, uint8_t* const* outs,
              int64_t count) {
  const D d;
  const hn::Rebind<uint8_t, D> d8;
  for (int64_t begin = 0; begin < count; begin += kSome) {
    const int64_t some = HWY_MIN(kSome, count - begin);
    for (int64_t block = 0; block < layer.finish.blocks(); ++block) {
      const int32_t* weights = layer.wide_weights.data() + block * kLanes * layer.taps;
      HWY_ALIGN int32_t sums[kSome * kLanes];
      for (int64_t v = 0; v < some; ++v) {
        const uint8_t* x = vectors[begin + v] + block * kLanes;
        auto sum = hn::Zero(d);
        for (int64_t tap = 0; tap < layer.taps; ++tap) {
          const auto values = hn::PromoteTo(d, hn::LoadU(d8, x + layer.tap_offsets[tap]));
          sum = hn::Add(sum, hn::Mul(values, hn::LoadU(d, weights + tap * kLanes)));
        }
        hn::Store(sum, d, sums + v * kLanes);
      }
      store_blocks(d, sums, kLanes, layer.finish, block, outs + begin, some);
    }
  }
}

DepthwiseRoutine routine() { return {kLanes, kNarrowChannels, run_narrow, run_wide}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);

std::unique_ptr<Depthwise> Depthwise::make(const DepthwiseSpec& spec) {
  const int64_t channels = spec.w->type.shape[0], taps = spec.w->type.shape[1];
  FinishSpec finish{channels, std::vector<int64_t>(channels), std::vector<Range>(channels),
                    spec.thresholds, spec.out};
  const bool suits = spec.in.form == Form::bytes && can_finish(finish) &&
                     (spec.out.form == Form::bytes || spec.out.form == Form::words);
  if (!suits) return nullptr;
  const DepthwiseRoutine routine = HWY_DYNAMIC_DISPATCH(routine)();
  auto depthwise = std::make_unique<Depthwise>();
  DepthwiseLayer& layer = depthwise->layer_;
  layer.channels = channels, layer.taps = taps, layer.tap_offsets = spec.tap_offsets;
  const int64_t operand = spec.range.hi - spec.in.base;
  int64_t most = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t* w = spec.w->ints.data() + c * taps;
    int64_t sum = 0;
    Range raw;
    for (int64_t tap = 0; tap < taps; ++tap) {
      sum += w[tap];
      (w[tap] < 0 ? raw.lo : raw.hi) += w[tap] * operand;
    }
    finish.addend[c] = spec.in.base * sum;
    finish.raw[c] = raw;
    most = std::max({most, -raw.lo, raw.hi});
  }
  if (most > std::numeric_limits<int32_t>::max()) return nullptr;
  layer.narrow = most <= std::numeric_limits<int16_t>::max();
  const int64_t block = layer.narrow ? routine.narrow_channels : routine.lanes;
  const int64_t padded = (channels + block - 1) / block * block;
  if (layer.narrow) {
    layer.narrow_weights.assign(padded * taps, 0);
  } else {
    layer.wide_weights.assign(padded * taps, 0);
  }
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t at = (c / block * taps + tap) * block + c % block;
      const int64_t w = spec.w->ints[c * taps + tap];
      if (layer.narrow) {
        layer.narrow_weights[at] = static_cast<int16_t>(w);
      } else {
        layer.wide_weights[at] = static_cast<int32_t>(w);
      }
    }
  }
  layer.finish = Finish<int32_t>(finish, routine.lanes);
  depthwise->run_ = layer.narrow ? routine.narrow : routine.wide;
  return depthwise;
}

}  // namespace foldstream::kernel
#endif
