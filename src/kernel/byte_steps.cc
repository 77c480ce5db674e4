// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/byte_steps.h"

#include <algorithm>
#include <vector>

#include "src/kernel/codes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/byte_steps.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Elements from `first` on, as long as a vector of them is left; gives the first one behind.
template <class D>
HWY_INLINE int64_t run_vectors(D d, const uint8_t* x, const uint8_t* t, int64_t levels,
                               int64_t first, int64_t count, uint8_t* y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = first;
  for (; c + lanes <= count; c += lanes) {
    const auto value = hn::LoadU(d, x + c);
    auto reached = hn::Zero(d);
    for (int64_t i = 0; i < levels; ++i) {
      // There is no x >= t of bytes below AVX-512; a mask is -1 where it holds.
      const auto largest = hn::Max(value, hn::LoadU(d, t + i * count + c));
      reached = hn::Sub(reached, hn::VecFromMask(d, hn::Eq(largest, value)));
    }
    hn::StoreU(reached, d, y + c);
  }
  return c;
}

void run(const uint8_t* x, const uint8_t* t, int64_t levels, int64_t count, uint8_t* y) {
  int64_t c = run_vectors(hn::ScalableTag<uint8_t>(), x, t, levels, 0, count, y);
  c = run_vectors(hn::CappedTag<uint8_t, 16>(), x, t, levels, c, count, y);
  for (; c < count; ++c) {
    uint8_t reached = 0;
    for (int64_t i = 0; i < levels; ++i) {
      reached = static_cast<uint8_t>(reached + (x[c] >= t[i * count + c] ? 1 : 0));
    }
    y[c] = reached;
  }
}

ByteStepsRoutine routine() { return {run}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {
namespace {

HWY_EXPORT(routine);

constexpr int64_t kMostLevels = 16;
constexpr int64_t kLeastChannels = 16;  // fewer are quicker looked up one by one

class ByteSteps final : public Kernel {
 public:
  ByteSteps(std::vector<uint8_t> t, std::vector<uint8_t> flips, int64_t levels, const Storage& out)
      : t_(std::move(t)),
        flips_(std::move(flips)),
        levels_(levels),
        store_(out),
        steps_(byte_steps_routine()) {}

  int64_t scratch_bytes(int64_t) const override { return store_.scratch_bytes(); }

  void run(const KernelCall& call) const override {
    const auto* bytes = reinterpret_cast<const uint8_t*>(call.in[0]);
    const int64_t channels = store_.storage().length;
    store_.each_vector(call, [&](int64_t v, std::byte* codes) {
      auto* y = reinterpret_cast<uint8_t*>(codes);
      steps_.run(bytes + v * channels, t_.data(), levels_, channels, y);
      if (flips_.empty()) return;
      for (int64_t c = 0; c < channels; ++c) {
        y[c] = static_cast<uint8_t>(flips_[c] != 0 ? levels_ - y[c] : y[c]);
      }
    });
  }

 private:
  std::vector<uint8_t> t_, flips_;
  int64_t levels_;
  CodeStore store_;
  ByteStepsRoutine steps_;
};

}  // namespace

ByteStepsRoutine byte_steps_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }

std::unique_ptr<Kernel> make_byte_steps(const Operand& operand, const Thresholds& thresholds,
                                        const Storage& out) {
  const Storage& in = operand.storage;
  const int64_t levels = thresholds.levels(), channels = in.length;
  if (in.form != Form::bytes || levels > kMostLevels || channels < kLeastChannels ||
      out.base != 0 ||
      !(out.form == Form::bytes || (out.form == Form::bits && levels == 1) ||
        (out.form == Form::trits && levels == 2))) {
    return nullptr;
  }
  const int64_t most = operand.range.hi - in.base;
  std::vector<uint8_t> t(levels * channels), flips(channels);
  bool any_flip = false;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < levels; ++i) {
      const int64_t byte = std::max<int64_t>(thresholds.row(c)[i] - in.base, 0);
      if (byte > most && most == 255) return nullptr;  // no byte says never
      t[i * channels + c] = static_cast<uint8_t>(std::min<int64_t>(byte, most + 1));
    }
    flips[c] = thresholds.flipped(c) ? 1 : 0;
    any_flip = any_flip || thresholds.flipped(c);
  }
  if (!any_flip) flips.clear();
  return std::make_unique<ByteSteps>(std::move(t), std::move(flips), levels, out);
}

}  // namespace foldstream::kernel
#endif
