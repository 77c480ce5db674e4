// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/pack.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/pack.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Calls word(bytes) for 64 bytes at a time; the last ones with `filler` behind them.
template <class Word>
HWY_INLINE void for_each_word(const uint8_t* bytes, int64_t count, uint8_t filler,
                              const Word& word) {
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) word(bytes + i);
  if (i == count) return;
  uint8_t last[64];
  std::memset(last, filler, sizeof last);
  std::memcpy(last, bytes + i, static_cast<size_t>(count - i));
  word(last);
}

// One bit for each of 64 bytes.
template <class Compare>
HWY_INLINE uint64_t mask_of(const uint8_t* bytes, const Compare& compare) {
  const hn::CappedTag<uint8_t, 64> d;
  uint8_t bits[8 + 8] = {};
  if constexpr (hn::MaxLanes(d) >= 8) {
    for (size_t i = 0; i < 64; i += hn::Lanes(d)) {
      hn::StoreMaskBits(d, compare(d, hn::LoadU(d, bytes + i)), bits + i / 8);
    }
  } else {
    for (size_t i = 0; i < 64; ++i) {
      uint8_t bit[8] = {};
      hn::StoreMaskBits(d, compare(d, hn::LoadU(d, bytes + i)), bit);
      bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | bit[0] << (i % 8));
    }
  }
  uint64_t word;
  std::memcpy(&word, bits, sizeof word);
  return word;
}

void bits(const uint8_t* bytes, int64_t count, uint8_t first, uint64_t* words) {
  for_each_word(bytes, count, 0, [&](const uint8_t* some) {
    *words++ = mask_of(some, [first](auto d, auto x) {
      return hn::Eq(hn::Max(x, hn::Set(d, first)), x);  // there is no x >= first below AVX-512
    });
  });
}

void trits(const uint8_t* bytes, int64_t count, uint64_t* words) {
  for_each_word(bytes, count, 1, [&](const uint8_t* some) {
    *words++ = mask_of(some, [](auto d, auto x) { return hn::Ne(x, hn::Set(d, 1)); });
    *words++ = mask_of(some, [](auto d, auto x) { return hn::Eq(x, hn::Zero(d)); });
  });
}

PackRoutine routine() { return {bits, trits}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);

PackRoutine pack_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }

}  // namespace foldstream::kernel
#endif
