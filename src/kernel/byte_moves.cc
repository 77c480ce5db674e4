// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/byte_moves.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/byte_moves.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
// As in products-inl.h.
HWY_PRAGMA(GCC target("avx512vbmi"))
#endif
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

void look_up(const uint8_t* HWY_RESTRICT table, const uint8_t* HWY_RESTRICT from, int64_t count,
             uint8_t* HWY_RESTRICT to) {
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX3_DL
  // Two look-ups in halves of the table; the highest bit says which holds.
  const __m512i a = _mm512_loadu_si512(table), b = _mm512_loadu_si512(table + 64),
                c = _mm512_loadu_si512(table + 128), d = _mm512_loadu_si512(table + 192);
  for (; i + 64 <= count; i += 64) {
    const __m512i x = _mm512_loadu_si512(from + i);
    const __m512i low = _mm512_permutex2var_epi8(a, x, b), high = _mm512_permutex2var_epi8(c, x, d);
    _mm512_storeu_si512(to + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
  }
#endif
  for (; i < count; ++i) to[i] = table[from[i]];
}

void interleave(const uint8_t* HWY_RESTRICT from, int64_t step, int64_t planes, int64_t count,
                uint8_t* HWY_RESTRICT to) {
  const hn::ScalableTag<uint8_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto plane = [&](int64_t p) { return hn::LoadU(d, from + p * step + i); };
    uint8_t* at = to + i * planes;
    if (planes == 2) hn::StoreInterleaved2(plane(0), plane(1), d, at);
    if (planes == 3) hn::StoreInterleaved3(plane(0), plane(1), plane(2), d, at);
    if (planes == 4) hn::StoreInterleaved4(plane(0), plane(1), plane(2), plane(3), d, at);
  }
  for (; i < count; ++i) {
    for (int64_t p = 0; p < planes; ++p) to[i * planes + p] = from[p * step + i];
  }
}

ByteMovesRoutine routine() { return {look_up, interleave}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);

ByteMovesRoutine byte_moves_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }

}  // namespace foldstream::kernel
#endif
