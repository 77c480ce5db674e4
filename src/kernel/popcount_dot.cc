// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/popcount_dot.h"

#include <algorithm>
#include <array>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/popcount_dot.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/finish-inl.h"
#include "src/kernel/products-inl.h"

HWY_BEFORE_NAMESPACE();
FOLDSTREAM_PRODUCTS_TARGET
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

using D = CountTag;
using V = hn::Vec<D>;
using DI = hn::RebindToSigned<D>;

// Rows of a tile: at least 8, so that a tile's results fill bytes.
constexpr int kLanes = hn::MaxLanes(D());
constexpr int kBlocks = kLanes >= 4 ? 2 : 8 / kLanes;

// Counts that save carries need two registers each.
template <bool kZeroWeights, bool kZeroOperands>
constexpr bool kCarries = kZeroWeights == kZeroOperands;
template <bool kZeroWeights, bool kZeroOperands>
constexpr int kVectors = (kLanes >= 8 ? 8 : 4) / (kCarries<kZeroWeights, kZeroOperands> ? 2 : 1);

// Rows of tile `at` for some vectors, whose words take turns in `x`. Where only operands have
// zeros, `ones` are the counts of a vector's planes, the first of them that of its mask.
template <bool kZeroWeights, bool kZeroOperands, int kVectorsOfTile>
HWY_INLINE void tile(const PopcountMatrix& m, const uint64_t* HWY_RESTRICT x, uint8_t* const* outs,
                     const uint64_t* ones, int64_t at) {
  const D d;
  const DI di;
  constexpr bool kSaves = kCarries<kZeroWeights, kZeroOperands>;
  constexpr bool kPairs = kSaves && !kZeroWeights;  // of words; else the planes of one
  constexpr int kRows = kLanes * kBlocks;
  constexpr int kWeightStep = kRows * (kSaves || kZeroWeights ? 2 : 1);
  constexpr int kWordStep = (kSaves || kZeroOperands ? 2 : 1) * kVectorsOfTile;
  constexpr int kVectorStep = kZeroOperands ? 2 : 1;
  constexpr int kPlaneStep = kZeroOperands ? 1 : kVectorsOfTile;
  const uint64_t* HWY_RESTRICT w = m.weights.data() + at * m.words * (kZeroWeights ? 2 : 1) * kRows;
  std::conditional_t<kSaves, CarryCounter, Counter> counts[kVectorsOfTile][kBlocks];
  const bool odd = kPairs && m.words % 2 != 0;
  for (int v = 0; v < kVectorsOfTile; ++v) {
    for (int b = 0; b < kBlocks; ++b) {
      if constexpr (kSaves) {
        // The first word of an odd number is what is kept at first.
        counts[v][b].clear(
            d, odd ? hn::Xor(hn::Set(d, x[v]), hn::Load(d, w + b * kLanes)) : hn::Zero(d));
      } else {
        counts[v][b].clear(d);
      }
    }
  }
  if (odd) w += kRows, x += kVectorsOfTile;
  const int64_t steps = kPairs ? m.words / 2 : m.words;
  for (int64_t begin = 0; begin < steps; begin += kFlushWords) {
    const int64_t end = kCountsWords ? steps : HWY_MIN(begin + kFlushWords, steps);
    for (int64_t i = begin; i < end; ++i, w += kWeightStep, x += kWordStep) {
      V first[kBlocks], second[kBlocks];
      for (int b = 0; b < kBlocks; ++b) {
        first[b] = hn::Load(d, w + b * kLanes);
        if constexpr (kWeightStep > kRows) second[b] = hn::Load(d, w + kRows + b * kLanes);
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectorsOfTile; ++v) {
        const uint64_t* word = x + v * kVectorStep;
#pragma GCC unroll 8
        for (int b = 0; b < kBlocks; ++b) {
          auto& count = counts[v][b];
          if constexpr (kPairs) {
            const V low = hn::Xor3(hn::Set(d, word[kPlaneStep]), second[b], count.ones);
            count.add(low, hn::Xor(hn::Set(d, word[0]), first[b]));
          } else if constexpr (kSaves) {
            const V low = nand_xor(hn::Set(d, word[0]), second[b], count.ones);
            count.add(low, hn::Xor(hn::Set(d, word[1]), first[b]));
          } else if constexpr (kZeroOperands) {
            count.add(masked_xor(hn::Set(d, word[0]), hn::Set(d, word[1]), first[b]));
          } else {
            count.add(masked_xor(second[b], hn::Set(d, word[0]), first[b]));
          }
        }
      }
    }
    if constexpr (kCountsWords) break;
    for (int v = 0; v < kVectorsOfTile; ++v) {
      for (int b = 0; b < kBlocks; ++b) counts[v][b].flush();
    }
  }
  const auto raw = [&](int v, int b) {
    if constexpr (kSaves) {
      return hn::BitCast(di, counts[v][b].total(d));
    } else {
      const auto count = hn::BitCast(di, counts[v][b].sum);
      if constexpr (!kZeroOperands) return count;
      return hn::Sub(hn::Set(di, static_cast<int64_t>(ones[2 * v])), hn::Add(count, count));
    }
  };
  store_tile<kVectorsOfTile, kBlocks>(di, raw, m.finish, at, outs);
}

// Vectors' words in turns, so that a tile reads them one after the other: element j of such a turn
// is word(j, offset), `offset` being its vector's. The second of a pair is where it differs from
// the first; the first word of an odd number has no other.
template <bool kPairs, int kPlanes, int kStep, class Word>
HWY_INLINE void stage_words(const PopcountMatrix& m, const Word& word, uint64_t* HWY_RESTRICT to) {
  int64_t before = 0;
  uint64_t second = 0;  // all bits set
  bool alone = m.words % 2 != 0;
  for (const WordRun& run : m.runs) {
    for (int64_t i = 0; i < run.words; ++i, to += kStep) {
      const int64_t offset = run.offset + i * kPlanes;
      for (int j = 0; j < kStep; ++j) {
        to[j] = kPairs ? word(j, offset) ^ (word(j, before) & second) : word(j, offset);
      }
      if constexpr (kPairs) {
        second = alone ? 0 : ~second;
        alone = false;
        before = offset;
      }
    }
  }
}

template <bool kPairs, int kPlanes, int64_t kCount>
HWY_INLINE void stage(const PopcountMatrix& m, const uint64_t* const* vectors, uint64_t* to) {
  constexpr int kStep = kCount * kPlanes;
  std::array<const uint64_t*, kCount> from;
  std::copy_n(vectors, kCount, from.begin());
  // Neighbouring windows over positions of a word each: what they have at a tap lies in a row.
  bool in_a_row = true;
  for (int64_t v = 1; v < kCount; ++v) in_a_row = in_a_row && from[v] == from[v - 1] + kPlanes;
  if (in_a_row) {
    const uint64_t* all = from[0];
    stage_words<kPairs, kPlanes, kStep>(
        m, [=](int j, int64_t offset) { return all[offset + j]; }, to);
  } else {
    stage_words<kPairs, kPlanes, kStep>(
        m, [&](int j, int64_t offset) { return from[j / kPlanes][offset + j % kPlanes]; }, to);
  }
}

// Of each of `kStep` words that take turns.
template <int kStep>
HWY_INLINE void count_ones(const PopcountMatrix& m, const uint64_t* staged, uint64_t* ones) {
  const D d;
  if constexpr (kStep % kLanes == 0) {
    for (int j = 0; j < kStep; j += kLanes) {
      Counter count;
      count.clear(d);
      for (int64_t i = 0; i < m.words; ++i) {
        count.add(hn::LoadU(d, staged + i * kStep + j));
        if (i % kFlushWords == 0) count.flush();
      }
      count.flush();
      hn::StoreU(count.sum, d, ones + j);
    }
  } else {
    for (int64_t i = 0; i < m.words * kStep; ++i) {
      ones[i % kStep] += static_cast<uint64_t>(__builtin_popcountll(staged[i]));
    }
  }
}

template <bool kZeroWeights, bool kZeroOperands, int64_t kCount>
HWY_INLINE void some(const PopcountMatrix& m, const uint64_t* const* vectors, uint8_t* const* outs,
                     int64_t first, int64_t last, uint64_t* staged) {
  constexpr int kPlanes = kZeroOperands ? 2 : 1;
  stage<!kZeroWeights && !kZeroOperands, kPlanes, kCount>(m, vectors, staged);
  uint64_t ones[kCount * kPlanes] = {};  // of all words of a plane
  if constexpr (kZeroOperands && !kZeroWeights) count_ones<kCount * kPlanes>(m, staged, ones);
  for (int64_t at = first; at < last; ++at) {
    tile<kZeroWeights, kZeroOperands, kCount>(m, staged, outs, ones, at);
  }
}

template <bool kZeroWeights, bool kZeroOperands>
void run(const PopcountMatrix& m, const uint64_t* const* vectors, uint8_t* const* outs,
         int64_t count, int64_t first, int64_t last, uint64_t* staged) {
  constexpr int64_t kMost = kVectors<kZeroWeights, kZeroOperands>;
  int64_t v = 0;
  for (; v + kMost <= count; v += kMost) {
    some<kZeroWeights, kZeroOperands, kMost>(m, vectors + v, outs + v, first, last, staged);
  }
  for (; v < count; ++v) {
    some<kZeroWeights, kZeroOperands, 1>(m, vectors + v, outs + v, first, last, staged);
  }
}

template <bool kZeroWeights, bool kZeroOperands>
PopcountRoutine routine_of() {
  return {kLanes, kBlocks, kVectors<kZeroWeights, kZeroOperands>, run<kZeroWeights, kZeroOperands>};
}

PopcountRoutine routine(bool zero_weights, bool zero_operands) {
  if (zero_weights) return zero_operands ? routine_of<true, true>() : routine_of<true, false>();
  return zero_operands ? routine_of<false, true>() : routine_of<false, false>();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);

PopcountRoutine popcount_routine(bool zero_weights, bool zero_operands) {
  return HWY_DYNAMIC_DISPATCH(routine)(zero_weights, zero_operands);
}

}  // namespace foldstream::kernel
#endif
