// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/byte_dot.h"

#include "src/kernel/byte_tiles.h"
#include "src/kernel/tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/byte_dot.cc"
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

using D = ProductTag;
using V = hn::Vec<D>;

constexpr int kLanes = hn::MaxLanes(D());
constexpr int kBlocks = kLanes >= 4 ? 2 : 8 / kLanes;
constexpr int kVectors = kLanes >= 16 ? 8 : 4;

HWY_INLINE int32_t quad_at(const uint8_t* bytes) {
  int32_t quad;
  std::memcpy(&quad, bytes, sizeof quad);
  return quad;
}

template <bool kSmall, int kVectorsOfTile>
HWY_INLINE void tile(const ByteMatrix& m, const uint8_t* const* vectors, uint8_t* const* outs,
                     int64_t at) {
  const D d;
  constexpr int kStep = 4 * kLanes * kBlocks;
  const auto quads = static_cast<int64_t>(m.quads.size());
  const int8_t* HWY_RESTRICT w = m.weights.data() + at * quads * kStep;
  const int64_t* HWY_RESTRICT offsets = m.quads.data();
  V sums[kVectorsOfTile][kBlocks];
  const uint8_t* x[kVectorsOfTile];
  for (int v = 0; v < kVectorsOfTile; ++v) {
    x[v] = vectors[v];
    for (int b = 0; b < kBlocks; ++b) sums[v][b] = hn::Zero(d);
  }
  for (int64_t i = 0; i < quads; ++i, w += kStep) {
    V weights[kBlocks];
    for (int b = 0; b < kBlocks; ++b) {
      weights[b] = hn::Load(d, reinterpret_cast<const int32_t*>(w) + b * kLanes);
    }
    const int64_t offset = offsets[i];
#pragma GCC unroll 8
    for (int v = 0; v < kVectorsOfTile; ++v) {
      const V quad = hn::Set(d, quad_at(x[v] + offset));
#pragma GCC unroll 8
      for (int b = 0; b < kBlocks; ++b) {
        sums[v][b] = multiply_add<kSmall>(sums[v][b], quad, weights[b]);
      }
    }
  }
  store_tile<kVectorsOfTile, kBlocks>(
      d, [&](int v, int b) { return sums[v][b]; }, m.finish, at, outs);
}

template <bool kSmall>
void multiply(const ByteMatrix& m, const uint8_t* const* vectors, uint8_t* const* outs,
              int64_t count, int64_t first, int64_t last) {
  constexpr int64_t kChunk = 64;
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t some = HWY_MIN(kChunk, count - begin);
    const uint8_t* const* from = vectors + begin;
    for (int64_t at = first; at < last; ++at) {
      int64_t v = 0;
      for (; v + kVectors <= some; v += kVectors) {
        tile<kSmall, kVectors>(m, from + v, outs + begin + v, at);
      }
      for (; v + 2 <= some; v += 2) tile<kSmall, 2>(m, from + v, outs + begin + v, at);
      for (; v < some; ++v) tile<kSmall, 1>(m, from + v, outs + begin + v, at);
    }
  }
}

void run(const ByteMatrix& m, const uint8_t* const* vectors, uint8_t* const* outs, int64_t count,
         int64_t first, int64_t last, uint8_t* /*scratch*/) {
  (m.small ? multiply<true> : multiply<false>)(m, vectors, outs, count, first, last);
}

ByteRoutine routine() { return {.lanes = kLanes, .blocks = kBlocks, .run = run}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);

ByteRoutine byte_routine() {
  return tiles_in_force() ? tile_routine() : HWY_DYNAMIC_DISPATCH(routine)();
}

}  // namespace foldstream::kernel
#endif
