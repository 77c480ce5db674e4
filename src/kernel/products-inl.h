// SPDX-License-Identifier: Apache-2.0
// The innermost steps of multiplying, each 64-bit or 32-bit lane by itself; compiled for each
// instruction set.
#if defined(FOLDSTREAM_KERNEL_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLDSTREAM_KERNEL_PRODUCTS_INL_H
#undef FOLDSTREAM_KERNEL_PRODUCTS_INL_H
#else
#define FOLDSTREAM_KERNEL_PRODUCTS_INL_H
#endif

#include "hwy/highway.h"

// Goes behind HWY_BEFORE_NAMESPACE. Processors of this level have it; Highway 1.0.3 asks for it
// when it chooses the level, but doesn't tell the compiler.
#undef FOLDSTREAM_PRODUCTS_TARGET
#if HWY_TARGET == HWY_AVX3_DL
#define FOLDSTREAM_PRODUCTS_TARGET HWY_PRAGMA(GCC target("avx512vnni"))
#else
#define FOLDSTREAM_PRODUCTS_TARGET
#endif

HWY_BEFORE_NAMESPACE();
FOLDSTREAM_PRODUCTS_TARGET
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using CountTag = hn::ScalableTag<uint64_t>;
using ProductTag = hn::ScalableTag<int32_t>;

// A count of each 64-bit lane in one instruction.
#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_SCALAR
constexpr bool kCountsWords = true;
#else
constexpr bool kCountsWords = false;
#endif
constexpr int64_t kFlushWords = 31;  // words that may be counted before a flush

// Counts by lanes. Without an instruction for it, bytes are counted and added up, and the bytes'
// sums taken before one could overflow.
struct Counter {
  using D = CountTag;
  using V = hn::Vec<CountTag>;
  V sum;
#if HWY_TARGET != HWY_SCALAR
  using D8 = hn::Repartition<uint8_t, D>;
  hn::Vec<D8> bytes;
#endif

  HWY_INLINE Counter() {}  // an implicit one isn't compiled for the target
  HWY_INLINE void clear(D d) {
    sum = hn::Zero(d);
#if HWY_TARGET != HWY_SCALAR
    bytes = hn::Zero(D8());
#endif
  }
  HWY_INLINE void add(V bits) {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (!kCountsWords) {
      bytes = hn::Add(bytes, hn::PopulationCount(hn::BitCast(D8(), bits)));
      return;
    }
#endif
    sum = hn::Add(sum, hn::PopulationCount(bits));
  }
  // The same bits in every instruction, for measuring.
  HWY_INLINE V bits() const {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (!kCountsWords) return hn::BitCast(D(), bytes);
#endif
    return sum;
  }
  HWY_INLINE void flush() {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (!kCountsWords) {
      sum = hn::Add(sum, hn::SumsOf8(bytes));
      bytes = hn::Zero(D8());
    }
#endif
  }
};

// Counts of two bits at every place at once, saving carries: what two of them and the bit kept from
// those before give at a place is kept or, if it is worth two, counted.
struct CarryCounter {
  using D = CountTag;
  using V = hn::Vec<CountTag>;
  Counter twos;
  V ones;  // kept

  HWY_INLINE CarryCounter() {}
  HWY_INLINE void clear(D d, V first) { twos.clear(d), ones = first; }
  // Bits p and q: `low` is p ^ q ^ ones, `equal` what both are where they are the same.
  HWY_INLINE void add(V low, V equal) {
    // Where p and q differ the carry is the bit kept.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    const V carry{_mm512_ternarylogic_epi64(equal.raw, low.raw, ones.raw, 0xB2)};
#else
    const V differ = hn::Xor(low, ones);
    const V carry = hn::Xor(equal, hn::And(differ, hn::Xor(equal, ones)));
#endif
    twos.add(carry);
    ones = low;
  }
  HWY_INLINE void flush() { twos.flush(); }
  // Of all bits, after a flush.
  HWY_INLINE V total(D d) const {
    Counter rest;
    rest.clear(d);
    rest.add(ones);
    rest.flush();
    return hn::Add(hn::Add(twos.sum, twos.sum), rest.sum);
  }
};

// mask & (a ^ b).
HWY_INLINE CarryCounter::V masked_xor(CarryCounter::V mask, CarryCounter::V a, CarryCounter::V b) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return CarryCounter::V{_mm512_ternarylogic_epi64(mask.raw, a.raw, b.raw, 0x60)};
#else
  return hn::And(mask, hn::Xor(a, b));
#endif
}

// ~(a & b) ^ c.
HWY_INLINE CarryCounter::V nand_xor(CarryCounter::V a, CarryCounter::V b, CarryCounter::V c) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return CarryCounter::V{_mm512_ternarylogic_epi64(a.raw, b.raw, c.raw, 0x95)};
#else
  return hn::Xor(hn::Not(hn::And(a, b)), c);
#endif
}

#if HWY_TARGET == HWY_AVX3_DL
#define FOLDSTREAM_MULTIPLY_ADD(name) _mm512_##name
#elif HWY_TARGET == HWY_AVX3
#define FOLDSTREAM_MULTIPLY_ADD(name) _mm512_##name
#elif HWY_TARGET == HWY_AVX2
#define FOLDSTREAM_MULTIPLY_ADD(name) _mm256_##name
#elif HWY_TARGET == HWY_SSE4
#define FOLDSTREAM_MULTIPLY_ADD(name) _mm_##name
#endif

// sum + the products of four unsigned bytes of x with four signed of w, in each lane.
template <bool kSmall>
HWY_INLINE hn::Vec<ProductTag> multiply_add(hn::Vec<ProductTag> sum, hn::Vec<ProductTag> x,
                                            hn::Vec<ProductTag> w) {
  using D = ProductTag;
  using V [[maybe_unused]] = hn::Vec<D>;
#if HWY_TARGET == HWY_AVX3_DL
  return V{_mm512_dpbusd_epi32(sum.raw, x.raw, w.raw)};
#elif defined(FOLDSTREAM_MULTIPLY_ADD)
  const D d;
  const hn::Repartition<int16_t, D> d16;
  if constexpr (kSmall) {
    const V pairs{FOLDSTREAM_MULTIPLY_ADD(maddubs_epi16)(x.raw, w.raw)};
    const V ones = hn::BitCast(d, hn::Set(d16, 1));
    return hn::Add(sum, V{FOLDSTREAM_MULTIPLY_ADD(madd_epi16)(pairs.raw, ones.raw)});
  } else {
    const auto x16 = hn::BitCast(d16, x), w16 = hn::BitCast(d16, w);
    const V x_even = hn::BitCast(d, hn::And(x16, hn::Set(d16, 0xFF)));
    const V x_odd = hn::BitCast(
        d, hn::BitCast(d16,
                       hn::ShiftRight<8>(hn::BitCast(hn::RebindToUnsigned<decltype(d16)>(), x16))));
    const V w_even = hn::BitCast(d, hn::ShiftRight<8>(hn::ShiftLeft<8>(w16)));
    const V w_odd = hn::BitCast(d, hn::ShiftRight<8>(w16));
    sum = hn::Add(sum, V{FOLDSTREAM_MULTIPLY_ADD(madd_epi16)(x_even.raw, w_even.raw)});
    return hn::Add(sum, V{FOLDSTREAM_MULTIPLY_ADD(madd_epi16)(x_odd.raw, w_odd.raw)});
  }
#else
  const D d;
  const hn::RebindToUnsigned<D> du;
  const auto byte = [&](auto shifted) {
    return hn::BitCast(d, hn::And(shifted, hn::Set(du, 0xFF)));
  };
  const auto ux = hn::BitCast(du, x);
  sum = hn::Add(sum, hn::Mul(byte(ux), hn::ShiftRight<24>(hn::ShiftLeft<24>(w))));
  sum =
      hn::Add(sum, hn::Mul(byte(hn::ShiftRight<8>(ux)), hn::ShiftRight<24>(hn::ShiftLeft<16>(w))));
  sum =
      hn::Add(sum, hn::Mul(byte(hn::ShiftRight<16>(ux)), hn::ShiftRight<24>(hn::ShiftLeft<8>(w))));
  return hn::Add(sum, hn::Mul(byte(hn::ShiftRight<24>(ux)), hn::ShiftRight<24>(w)));
#endif
}
#undef FOLDSTREAM_MULTIPLY_ADD

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#endif
