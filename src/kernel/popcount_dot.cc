// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/popcount_dot.h"

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
constexpr int kVectors = kLanes >= 8 ? 8 : 4;

// Rows of tile `at` for some vectors, whose words take turns in `x`. `nonzero` are the vectors'
// first counts, where they need one.
template <bool kZeroWeights, bool kZeroOperands, int kVectorsOfTile>
HWY_INLINE void tile(const PopcountMatrix& m, const uint64_t* HWY_RESTRICT x, uint8_t* const* outs,
                     const int64_t* nonzero, int64_t at) {
  const D d;
  const DI di;
  constexpr int kWordStep = (kZeroOperands ? 2 : 1) * kVectorsOfTile;
  constexpr int kWeightStep = kLanes * kBlocks * (kZeroWeights ? 2 : 1);
  constexpr bool kBoth = kZeroWeights && kZeroOperands;
  const uint64_t* HWY_RESTRICT w = m.weights.data() + at * m.words * kWeightStep;
  Counter differ[kVectorsOfTile][kBlocks], places[kVectorsOfTile][kBlocks];
  for (int v = 0; v < kVectorsOfTile; ++v) {
    for (int b = 0; b < kBlocks; ++b) {
      differ[v][b].clear(d);
      if constexpr (kBoth) places[v][b].clear(d);
    }
  }
  for (int64_t begin = 0; begin < m.words; begin += kFlushWords) {
    const int64_t end = kCountsWords ? m.words : HWY_MIN(begin + kFlushWords, m.words);
    for (int64_t i = begin; i < end; ++i, w += kWeightStep, x += kWordStep) {
      V sign[kBlocks], mask[kBlocks];
      for (int b = 0; b < kBlocks; ++b) {
        sign[b] = hn::Load(d, w + b * kLanes);
        if constexpr (kZeroWeights) mask[b] = hn::Load(d, w + (kBlocks + b) * kLanes);
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectorsOfTile; ++v) {
        if constexpr (kZeroOperands) {
          const V u_mask = hn::Set(d, x[2 * v]), u = hn::Set(d, x[2 * v + 1]);
#pragma GCC unroll 8
          for (int b = 0; b < kBlocks; ++b) {
            const V both = kZeroWeights ? hn::And(u_mask, mask[b]) : u_mask;
            differ[v][b].add(hn::And(both, hn::Xor(u, sign[b])));
            if constexpr (kBoth) places[v][b].add(both);
          }
        } else {
          const V u = hn::Set(d, x[v]);
#pragma GCC unroll 8
          for (int b = 0; b < kBlocks; ++b) {
            const V bits = hn::Xor(u, sign[b]);
            differ[v][b].add(kZeroWeights ? hn::And(mask[b], bits) : bits);
          }
        }
      }
    }
    if constexpr (kCountsWords) break;
    for (int v = 0; v < kVectorsOfTile; ++v) {
      for (int b = 0; b < kBlocks; ++b) {
        differ[v][b].flush();
        if constexpr (kBoth) places[v][b].flush();
      }
    }
  }
  // Raw sums: the first count, where it is no constant of the row, less twice the second; with
  // operands in bits less it once.
  const auto raw = [&](int v, int b) {
    const auto count = hn::BitCast(di, differ[v][b].sum);
    if constexpr (kBoth) {
      return hn::Sub(hn::BitCast(di, places[v][b].sum), hn::Add(count, count));
    } else if constexpr (kZeroOperands) {
      return hn::Sub(hn::Set(di, nonzero[v]), hn::Add(count, count));
    } else {
      return hn::Neg(count);
    }
  };
  store_tile<kVectorsOfTile, kBlocks>(di, raw, m.finish, at, outs);
}

// Vectors' words in turns, so that a tile reads them one after the other.
template <bool kZeroOperands>
HWY_INLINE void stage(const PopcountMatrix& m, const uint64_t* const* vectors, int64_t count,
                      uint64_t* HWY_RESTRICT to) {
  constexpr int64_t kPlanes = kZeroOperands ? 2 : 1;
  // Neighbouring windows over positions of a word each: what they have at a tap lies in a row.
  bool in_a_row = count == kVectors;
  for (int64_t v = 1; v < count; ++v) {
    in_a_row = in_a_row && vectors[v] == vectors[v - 1] + kPlanes;
  }
  if (in_a_row) {
    for (const WordRun& run : m.runs) {
      const uint64_t* from = vectors[0] + run.offset;
      for (int64_t i = 0; i < run.words; ++i, from += kPlanes, to += kVectors * kPlanes) {
        std::memcpy(to, from, kVectors * kPlanes * sizeof(uint64_t));
      }
    }
    return;
  }
  for (int64_t v = 0; v < count; ++v) {
    uint64_t* at = to + v * kPlanes;
    for (const WordRun& run : m.runs) {
      const uint64_t* from = vectors[v] + run.offset;
      for (int64_t i = 0; i < run.words; ++i, from += kPlanes, at += count * kPlanes) {
        at[0] = from[0];
        if constexpr (kZeroOperands) at[1] = from[1];
      }
    }
  }
}

template <bool kZeroWeights, bool kZeroOperands>
void run(const PopcountMatrix& m, const uint64_t* const* vectors, uint8_t* const* outs,
         int64_t count, int64_t first, int64_t last, uint64_t* staged) {
  int64_t nonzero[kVectors] = {};
  const auto count_nonzero = [&](int64_t begin, int64_t some) {
    if constexpr (kZeroOperands && !kZeroWeights) {
      for (int64_t v = 0; v < some; ++v) {
        nonzero[v] = 0;
        for (const WordRun& run : m.runs) {
          const uint64_t* word = vectors[begin + v] + run.offset;
          for (int64_t i = 0; i < run.words; ++i) {
            nonzero[v] += __builtin_popcountll(word[2 * i]);
          }
        }
      }
    }
  };
  int64_t v = 0;
  for (; v + kVectors <= count; v += kVectors) {
    stage<kZeroOperands>(m, vectors + v, kVectors, staged);
    count_nonzero(v, kVectors);
    for (int64_t at = first; at < last; ++at) {
      tile<kZeroWeights, kZeroOperands, kVectors>(m, staged, outs + v, nonzero, at);
    }
  }
  for (; v < count; ++v) {
    // A vector in one piece lies as it would be staged.
    const uint64_t* x = vectors[v] + m.runs[0].offset;
    if (m.runs.size() != 1) {
      stage<kZeroOperands>(m, vectors + v, 1, staged);
      x = staged;
    }
    count_nonzero(v, 1);
    for (int64_t at = first; at < last; ++at) {
      tile<kZeroWeights, kZeroOperands, 1>(m, x, outs + v, nonzero, at);
    }
  }
}

PopcountRoutine routine(bool zero_weights, bool zero_operands) {
  return {kLanes, kBlocks, kVectors,
          zero_weights ? (zero_operands ? run<true, true> : run<true, false>)
                       : (zero_operands ? run<false, true> : run<false, false>)};
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
