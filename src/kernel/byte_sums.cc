// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/byte_sums.h"

#include <cstring>

#include "src/kernel/byte_tiles.h"
#include "src/kernel/tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/byte_sums.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/products-inl.h"

HWY_BEFORE_NAMESPACE();
FOLDSTREAM_PRODUCTS_TARGET
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

using D = ProductTag;
using V = hn::Vec<D>;

constexpr int64_t kLanes = hn::MaxLanes(D());
constexpr int kBlocks = 3;
constexpr int64_t kRows = 4;  // whose sums are in registers
static_assert(kBlocks * kLanes <= kByteColumns);

// Sums of pairs stay in int16 for as many quads as are sure to fit: one addition less a quad than
// going to int32 at once. An instruction that adds up four products makes that needless.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
#if HWY_TARGET == HWY_AVX3
#define FOLDSTREAM_PAIRS(name) _mm512_##name
#elif HWY_TARGET == HWY_AVX2
#define FOLDSTREAM_PAIRS(name) _mm256_##name
#else
#define FOLDSTREAM_PAIRS(name) _mm_##name
#endif
constexpr bool kPairs = true;
HWY_INLINE V add_pairs(V sum, V bytes, V row) {
  const hn::Repartition<int16_t, D> d16;
  const V pairs{FOLDSTREAM_PAIRS(maddubs_epi16)(bytes.raw, row.raw)};
  return hn::BitCast(D(), hn::Add(hn::BitCast(d16, sum), hn::BitCast(d16, pairs)));
}
HWY_INLINE V add_flushed(V sum, V pairs) {
  const hn::Repartition<int16_t, D> d16;
  const V ones = hn::BitCast(D(), hn::Set(d16, 1));
  return hn::Add(sum, V{FOLDSTREAM_PAIRS(madd_epi16)(pairs.raw, ones.raw)});
}
#undef FOLDSTREAM_PAIRS
#else
constexpr bool kPairs = false;
HWY_INLINE V add_pairs(V sum, V bytes, V row) { return multiply_add<true>(sum, bytes, row); }
HWY_INLINE V add_flushed(V sum, V more) { return hn::Add(sum, more); }
#endif

HWY_INLINE V quad_of(const int8_t* row) {
  int32_t quad;
  std::memcpy(&quad, row, sizeof quad);
  return hn::Set(D(), quad);
}

template <int kSome>
HWY_INLINE void tile(const ByteSums& s, const int8_t* HWY_RESTRICT rows, int64_t column,
                     int32_t* HWY_RESTRICT out, int64_t at_once) {
  const D d;
  const uint8_t* HWY_RESTRICT bytes = s.bytes + 4 * column;
  bool fresh = !s.add;
  for (int64_t begin = 0; begin < s.quads || fresh; begin += at_once) {
    const int64_t end = HWY_MIN(begin + at_once, s.quads);
    V sums[kRows][kSome];
    for (auto& row : sums) {
      for (V& sum : row) sum = hn::Zero(d);
    }
    for (int64_t q = begin; q < end; ++q) {
      const auto* at = reinterpret_cast<const int32_t*>(bytes + s.offsets[q]);
      V x[kSome];
      for (int b = 0; b < kSome; ++b) x[b] = hn::LoadU(d, at + b * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const V quad = quad_of(rows + r * s.row_bytes + 4 * q);
#pragma GCC unroll 3
        for (int b = 0; b < kSome; ++b) sums[r][b] = add_pairs(sums[r][b], x[b], quad);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int b = 0; b < kSome; ++b) {
        int32_t* to = out + r * s.out_stride + b * kLanes;
        const V before = fresh ? hn::Zero(d) : hn::LoadU(d, to);
        hn::StoreU(add_flushed(before, sums[r][b]), d, to);
      }
    }
    fresh = false;
  }
}

// Some columns of all rows: their bytes are near by the second time.
template <int kSome>
void run_rows(const ByteSums& s, int64_t column, int64_t at_once) {
  for (int64_t row = 0; row < s.count; row += kRows) {
    tile<kSome>(s, s.rows + row * s.row_bytes, column, s.out + row * s.out_stride + column,
                at_once);
  }
}

void run(const ByteSums& s) {
  const int64_t at_once = kPairs ? INT16_MAX / (2 * HWY_MAX(s.largest, 1)) : INT32_MAX;
  int64_t column = 0;
  for (; column + 2 * kLanes < s.columns; column += kBlocks * kLanes) {
    run_rows<kBlocks>(s, column, at_once);
  }
  for (; column + kLanes < s.columns; column += 2 * kLanes) run_rows<2>(s, column, at_once);
  if (column < s.columns) run_rows<1>(s, column, at_once);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(run);

void byte_sums(const ByteSums& sums) {
  if (tiles_in_force()) return byte_sums_by_tiles(sums);
  HWY_DYNAMIC_DISPATCH(run)(sums);
}

}  // namespace foldstream::kernel
#endif
