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

// Codes of a vector's rows from `row` on; only the first `valid` lanes are rows.
template <class D, class V>
HWY_INLINE void store_codes(D d, V codes, int64_t valid, uint8_t* to) {
  constexpr int64_t kLanes = hn::MaxLanes(D());
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    if (HWY_LIKELY(valid == kLanes)) {
      const hn::RebindToUnsigned<D> du;
      hn::StoreU(hn::U8FromU32(hn::BitCast(du, codes)), hn::Rebind<uint8_t, D>(), to);
      return;
    }
  }
  HWY_ALIGN hn::TFromD<D> values[kLanes];
  hn::Store(codes, d, values);
  for (int64_t i = 0; i < valid; ++i) to[i] = static_cast<uint8_t>(values[i]);
}

// Block `block` of `count` vectors as words or bytes: sums of vector v lie at sums + v * step, its
// results from outs[v] on.
template <class D, class Sum>
HWY_NOINLINE void store_blocks(D d, const Sum* sums, int64_t step, const Finish<Sum>& finish,
                               int64_t block, uint8_t* const* outs, int64_t count) {
  using V = hn::Vec<D>;
  constexpr int64_t kLanes = hn::MaxLanes(D());
  const int64_t row = block * kLanes, valid = HWY_MIN(kLanes, finish.rows - row);
  if (finish.form == Form::words) {
    const V addend = hn::Load(d, finish.addend.data() + row);
    for (int64_t v = 0; v < count; ++v) {
      auto* to = reinterpret_cast<int32_t*>(outs[v]) + row;
      const V result = hn::Add(hn::Load(d, sums + v * step), addend);
      if constexpr (sizeof(Sum) == 4) {
        if (valid == kLanes) {
          hn::StoreU(result, d, to);
          continue;
        }
      }
      HWY_ALIGN Sum values[kLanes];
      hn::Store(result, d, values);
      for (int64_t i = 0; i < valid; ++i) to[i] = static_cast<int32_t>(values[i]);
    }
    return;
  }
  const auto each = [&](const auto& codes) {
    for (int64_t v = 0; v < count; ++v) {
      store_codes(d, codes(hn::Load(d, sums + v * step)), valid, outs[v] + row);
    }
  };
  if (finish.levels == 0) {
    const V addend = hn::Load(d, finish.addend.data() + row);
    return each([&](V sum) { return hn::Add(sum, addend); });
  }
  const V top = hn::Set(d, static_cast<Sum>(finish.levels));
  const Sum* t = finish.t.data() + block * (finish.levels + 2) * kLanes;
  const V flip = finish.any_flip ? hn::Load(d, finish.flip.data() + row) : hn::Zero(d);
  // `levels` gives those reached; where they are taken from `top`, that is (top + 1) + ~levels.
  const auto each_level = [&](const auto& levels) {
    if (!finish.any_flip) return each(levels);
    const V addend = hn::And(flip, hn::Add(top, hn::Set(d, 1)));
    each([&](V sum) { return hn::Add(hn::Xor(levels(sum), flip), addend); });
  };
  if constexpr (sizeof(Sum) == 4) {
    const hn::RebindToFloat<D> df;
    if (finish.way[block] != Way::count) {
      const auto scale = hn::Load(df, finish.scale.data() + row);
      const auto offset = hn::Load(df, finish.offset.data() + row);
      const auto most = hn::ConvertTo(df, top), integers = hn::Set(df, kIntegers);
      const V none = hn::BitCast(d, integers);
      const auto on_line = [=](V sum) {
        const auto y = hn::Add(hn::Mul(hn::ConvertTo(df, sum), scale), offset);
        const auto level = hn::Min(hn::Max(y, hn::Zero(df)), most);
        return hn::Sub(hn::BitCast(d, hn::Add(level, integers)), none);
      };
      if (finish.way[block] == Way::line) return each_level(on_line);
      const V first = hn::Load(d, t + kLanes), last = hn::Load(d, t + finish.levels * kLanes);
      const auto inside = [=](V sum, V level) {
        return hn::IfThenZeroElse(hn::Lt(sum, first),
                                  hn::IfThenElse(hn::Lt(sum, last), level, top));
      };
      if (finish.way[block] == Way::line_inside) {
        return each_level([&](V sum) { return inside(sum, on_line(sum)); });
      }
      return each_level([&](V sum) {
        const V level = on_line(sum);
        const V place =
            hn::Add(hn::Mul(level, hn::Set(d, static_cast<Sum>(kLanes))), hn::Iota(d, 0));
        // A mask is -1 where it holds.
        const auto too_high = hn::Lt(sum, hn::GatherIndex(d, t, place));
        return inside(sum, hn::Add(level, hn::VecFromMask(d, too_high)));
      });
    }
  }
  each_level([&](V sum) {
    V level = top;
    for (int64_t i = 1; i <= finish.levels; ++i) {
      level = hn::Add(level, hn::VecFromMask(d, hn::Lt(sum, hn::Load(d, t + i * kLanes))));
    }
    return level;
  });
}

// Tile `at` of kBlocks blocks, as words or bytes: `count` vectors of its sums, one after the other.
template <int kBlocks, class D, class Sum>
HWY_INLINE void store_sums(D d, const Sum* sums, const Finish<Sum>& finish, int64_t at,
                           uint8_t* const* outs, int64_t count) {
  constexpr int kLanes = hn::MaxLanes(D());
  for (int64_t b = 0; b < kBlocks && at * kBlocks + b < finish.blocks(); ++b) {
    store_blocks(d, sums + b * kLanes, kBlocks * kLanes, finish, at * kBlocks + b, outs, count);
  }
}

// Where tiles of `kRows` rows put the bits of one of them, from `row` on.
template <int kRows>
struct BitPlace {
  uint64_t byte;
  bool whole;  // else zeros follow, to the end of the word

  HWY_INLINE BitPlace(int64_t row, int64_t rows)
      : byte(static_cast<uint64_t>(row) / 8), whole(row + kRows < rows || row % 64 + kRows == 64) {}
  HWY_INLINE void put(uint8_t* vector, uint64_t bits) const {
    if (HWY_LIKELY(whole)) {
      std::memcpy(vector + byte, &bits, kRows / 8);
      return;
    }
    for (uint64_t i = byte; i == byte || i % 8 != 0; ++i, bits >>= 8) {
      vector[i] = static_cast<uint8_t>(bits);
    }
  }
};

// Sums raw(v, b) of block b of tile `at` for vector v, to where the vectors' results begin. A
// tile's rows fill bytes.
template <int kVectors, int kBlocks, class D, class Raw, class Sum>
HWY_INLINE void store_tile(D d, const Raw& raw, const Finish<Sum>& finish, int64_t at,
                           uint8_t* const* outs) {
  constexpr int kLanes = hn::MaxLanes(D()), kRows = kLanes * kBlocks;
  const int64_t row = at * kRows;
  const int64_t block = at * kBlocks;
  const Sum* flips = finish.any_flip ? finish.flip.data() + row : nullptr;
  if (finish.form == Form::bits) {
    // Three thresholds a row, the second its own.
    const Sum* t = finish.t.data() + 3 * row + kLanes;
    const BitPlace<kRows> place(row, finish.rows);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      uint64_t below_bits = 0;
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) {
        auto below = hn::Lt(raw(v, b), hn::Load(d, t + 3 * b * kLanes));
        if (HWY_UNLIKELY(flips != nullptr)) {
          below = hn::Xor(below, hn::MaskFromVec(hn::Load(d, flips + b * kLanes)));
        }
        below_bits |= uint64_t{bits_of(d, below)} << (b * kLanes);
      }
      place.put(outs[v], below_bits ^ (~uint64_t{0} >> (64 - kRows)));
    }
  } else if (finish.form == Form::trits) {
    // The planes take turns word by word.
    const BitPlace<kRows> place(row, finish.rows);
    const int64_t word = row / 64 * 8;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      uint64_t outer_bits = 0, lowest_bits = 0;
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) {
        const Sum* t = finish.t.data() + (4 * (block + b) + 1) * kLanes;
        const auto sums = raw(v, b);
        const auto below = hn::Lt(sums, hn::Load(d, t));
        const auto reached = hn::Not(hn::Lt(sums, hn::Load(d, t + kLanes)));
        const auto outer = hn::Or(below, reached);
        auto lowest = below;
        if (HWY_UNLIKELY(flips != nullptr)) {
          const auto flip = hn::MaskFromVec(hn::Load(d, flips + b * kLanes));
          lowest = hn::Or(hn::And(flip, reached), hn::AndNot(flip, below));
        }
        outer_bits |= uint64_t{bits_of(d, outer)} << (b * kLanes);
        lowest_bits |= uint64_t{bits_of(d, lowest)} << (b * kLanes);
      }
      place.put(outs[v] + word, outer_bits);
      place.put(outs[v] + word + 8, lowest_bits);
    }
  } else {
    // By way of memory; the sums above need none.
    HWY_ALIGN Sum sums[kVectors * kBlocks * kLanes];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) hn::Store(raw(v, b), d, sums + (v * kBlocks + b) * kLanes);
    }
    store_sums<kBlocks>(d, sums, finish, at, outs, kVectors);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#endif
