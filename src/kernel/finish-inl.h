// SPDX-License-Identifier: Apache-2.0
// Applies a Finish (finish.h) to vectors of sums; compiled for each instruction set.
#if defined(FOLDSTREAM_KERNEL_FINISH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLDSTREAM_KERNEL_FINISH_INL_H
#undef FOLDSTREAM_KERNEL_FINISH_INL_H
#else
#define FOLDSTREAM_KERNEL_FINISH_INL_H
#endif

#include <cstring>

#include "hwy/highway.h"
#include "src/kernel/finish.h"

HWY_BEFORE_NAMESPACE();
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Bits of a mask, lane 0 lowest.
template <class D, class M>
HWY_INLINE uint32_t bits_of(D d, M mask) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  static_cast<void>(d);
  return mask.raw;
#else
  uint8_t bits[8] = {};
  hn::StoreMaskBits(d, mask, bits);
  uint32_t all = 0;
  std::memcpy(&all, bits, sizeof all);
  return all;
#endif
}

// Levels reached, before any flip, as lanes of the sums' type.
template <class D, class V, class Sum>
HWY_INLINE V levels_of(D d, V sums, const Finish<Sum>& finish, int64_t block) {
  const Sum* t = finish.t.data() + block * (finish.levels + 2) * finish.lanes;
  if constexpr (sizeof(Sum) == 4) {
    if (finish.way[block] != Way::count) {
      const hn::RebindToFloat<D> df;
      const auto scale = hn::Load(df, finish.scale.data() + block * finish.lanes);
      const auto offset = hn::Load(df, finish.offset.data() + block * finish.lanes);
      const auto y = hn::Floor(hn::Add(hn::Mul(hn::ConvertTo(df, sums), scale), offset));
      const auto top = hn::Set(df, static_cast<float>(finish.levels));
      const V level = hn::ConvertTo(d, hn::Min(hn::Max(y, hn::Zero(df)), top));
      if (finish.way[block] == Way::line) return level;
      const auto lanes = static_cast<Sum>(finish.lanes);
      const V place = hn::Add(hn::Mul(level, hn::Set(d, lanes)), hn::Iota(d, 0));
      const auto too_high = hn::Lt(sums, hn::GatherIndex(d, t, place));
      const auto right = hn::Lt(sums, hn::GatherIndex(d, t + finish.lanes, place));
      const V one = hn::Set(d, 1);
      return hn::Sub(hn::Add(level, hn::IfThenZeroElse(right, one)),
                     hn::IfThenElseZero(too_high, one));
    }
  }
  V count = hn::Zero(d);
  for (int64_t i = 1; i <= finish.levels; ++i) {
    const auto below = hn::Lt(sums, hn::Load(d, t + i * finish.lanes));
    count = hn::Add(count, hn::IfThenZeroElse(below, hn::Set(d, 1)));
  }
  return count;
}

// Sums of rows block * lanes ... of one vector as words or bytes; `out` is where that vector's
// results begin.
template <class D, class V, class Sum>
HWY_INLINE void store_block(D d, V sums, const Finish<Sum>& finish, int64_t block, uint8_t* out) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t row = block * lanes, valid = HWY_MIN(lanes, finish.rows - row);
  if (finish.form == Form::words) {
    const V result = hn::Add(sums, hn::Load(d, finish.addend.data() + row));
    if constexpr (sizeof(Sum) == 4) {
      if (valid == lanes) {
        hn::StoreU(result, d, reinterpret_cast<int32_t*>(out) + row);
        return;
      }
    }
    HWY_ALIGN Sum values[hn::MaxLanes(D())];
    hn::Store(result, d, values);
    int32_t narrow[hn::MaxLanes(D())];
    for (int64_t i = 0; i < valid; ++i) narrow[i] = static_cast<int32_t>(values[i]);
    std::memcpy(reinterpret_cast<int32_t*>(out) + row, narrow, valid * sizeof(int32_t));
    return;
  }
  V levels = finish.levels == 0 ? hn::Add(sums, hn::Load(d, finish.addend.data() + row))
                                : levels_of(d, sums, finish, block);
  if (finish.any_flip) {
    const auto flip = hn::MaskFromVec(hn::Load(d, finish.flip.data() + row));
    levels =
        hn::IfThenElse(flip, hn::Sub(hn::Set(d, static_cast<Sum>(finish.levels)), levels), levels);
  }
  if constexpr (sizeof(Sum) == 4) {
    if (valid == lanes) {
      const hn::Rebind<uint8_t, D> d8;
      hn::StoreU(hn::DemoteTo(d8, levels), d8, out + row);
      return;
    }
  }
  HWY_ALIGN Sum values[hn::MaxLanes(D())];
  hn::Store(levels, d, values);
  for (int64_t i = 0; i < valid; ++i) out[row + i] = static_cast<uint8_t>(values[i]);
}

// Puts the bits of `kRows` rows from `row` on; behind the last row of a vector, zeros to the end of
// the word.
template <int kRows>
HWY_INLINE void put_bits(uint8_t* at, uint32_t bits, int64_t row, int64_t rows) {
  if (HWY_LIKELY(row + kRows < rows)) {
    std::memcpy(at, &bits, kRows / 8);
    return;
  }
  const int64_t bytes = 8 - row % 64 / 8;
  const uint64_t word = bits;
  for (int64_t i = 0; i < bytes; ++i) at[i] = static_cast<uint8_t>(word >> (8 * i));
}

// Sums raw(v, b) of block b of tile `at` for vector v, to where the vectors' results begin. A
// tile's rows fill bytes.
template <int kVectors, int kBlocks, class D, class Raw, class Sum>
HWY_INLINE void store_tile(D d, const Raw& raw, const Finish<Sum>& finish, int64_t at,
                           uint8_t* const* outs) {
  constexpr int kLanes = hn::MaxLanes(D()), kRows = kLanes * kBlocks;
  const int64_t row = at * kRows;
  const int64_t block = at * kBlocks;
  if (finish.form == Form::bits) {
    const Sum* t =
        finish.t.data() + 3 * row + kLanes;  // three thresholds a row, the second its own
    const Sum* flip = finish.flip.data() + row;
    for (int v = 0; v < kVectors; ++v) {
      uint32_t below_bits = 0;
      for (int b = 0; b < kBlocks; ++b) {
        auto below = hn::Lt(raw(v, b), hn::Load(d, t + 3 * b * kLanes));
        if (HWY_UNLIKELY(finish.any_flip)) {
          below = hn::Xor(below, hn::MaskFromVec(hn::Load(d, flip + b * kLanes)));
        }
        below_bits |= bits_of(d, below) << (b * kLanes);
      }
      const uint32_t bits = ~below_bits & static_cast<uint32_t>((uint64_t{1} << kRows) - 1);
      put_bits<kRows>(outs[v] + row / 8, bits, row, finish.rows);
    }
  } else if (finish.form == Form::trits) {
    for (int v = 0; v < kVectors; ++v) {
      uint32_t outer_bits = 0, lowest_bits = 0;
      for (int b = 0; b < kBlocks; ++b) {
        const Sum* t = finish.t.data() + (4 * (block + b) + 1) * kLanes;
        const auto sums = raw(v, b);
        const auto below = hn::Lt(sums, hn::Load(d, t));
        const auto reached = hn::Not(hn::Lt(sums, hn::Load(d, t + kLanes)));
        const auto outer = hn::Or(below, reached);
        auto lowest = below;
        if (HWY_UNLIKELY(finish.any_flip)) {
          const auto flip = hn::MaskFromVec(hn::Load(d, finish.flip.data() + row + b * kLanes));
          lowest = hn::Or(hn::And(flip, reached), hn::AndNot(flip, below));
        }
        outer_bits |= bits_of(d, outer) << (b * kLanes);
        lowest_bits |= bits_of(d, lowest) << (b * kLanes);
      }
      // The planes take turns word by word.
      uint8_t* words = outs[v] + row / 64 * 16 + row % 64 / 8;
      put_bits<kRows>(words, outer_bits, row, finish.rows);
      put_bits<kRows>(words + 8, lowest_bits, row, finish.rows);
    }
  } else {
    for (int v = 0; v < kVectors; ++v) {
      for (int b = 0; b < kBlocks && block + b < finish.blocks(); ++b) {
        store_block(d, raw(v, b), finish, block + b, outs[v]);
      }
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#endif
