// SPDX-License-Identifier: Apache-2.0
#include "src/kernel/byte_tiles.h"

#include <cstring>
#include <vector>

#include "src/kernel/tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/kernel/byte_tiles.cc"
#include "hwy/foreach_target.h"
// Highway's own order: the targets first.
#include "hwy/highway.h"
#include "src/kernel/finish-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
HWY_PRAGMA(GCC target("amx-tile,amx-int8"))
#endif
namespace foldstream::kernel {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3_DL

// Every tile is 16 rows of 64 bytes. Tiles 0 to 3 are sums, 2 by 2 as 4 and 5 times 6 and 7.
constexpr int64_t kSide = kTileVectors, kRow = 64;

struct alignas(64) Setting {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr Setting kSetting;

// What the compiler doesn't know that tiles are loaded from is written before.
HWY_INLINE void written() { asm volatile("" ::: "memory"); }

class Tiles {
 public:
  HWY_INLINE Tiles() {
    _tile_loadconfig(&kSetting);
    written();
  }
  HWY_INLINE ~Tiles() { _tile_release(); }
};

// Rows of bytes, `step` bytes from one to the next.
struct Rows {
  const void* at;
  int64_t step;
};

using D = hn::ScalableTag<int32_t>;
constexpr int kBlocks = 2;
constexpr int64_t kTileRows = kBlocks * kSide;
constexpr int64_t kStaged = 2 * kSide;  // vectors

int64_t staged(const ByteMatrix& m) {
  // An odd number of cache lines: with a power of two all vectors would lie in few places of a
  // cache. One more takes what is copied too much.
  const int64_t lines = std::ssize(m.quads) / kSide;
  return (lines + 1 | 1) * kRow;
}

// Up to 16 vectors as rows: where they lie, if they are as far from one another and have no gaps,
// else copied.
HWY_INLINE Rows rows_of(const ByteMatrix& m, const uint8_t* const* vectors, int64_t count,
                        uint8_t* scratch) {
  if (m.runs.size() == 1 && count == kSide) {
    const int64_t step = vectors[1] - vectors[0];
    bool even = true;
    for (int64_t v = 2; v < kSide; ++v) even &= vectors[v] - vectors[v - 1] == step;
    if (even) return {vectors[0] + m.runs[0].offset, step};
  }
  const int64_t step = staged(m);
  for (int64_t v = 0; v < count; ++v) {
    uint8_t* to = scratch + v * step;
    for (const ByteRun& run : m.runs) {
      const uint8_t* from = vectors[v] + run.offset;
      for (int64_t i = 0; i < run.bytes; i += kRow) {
        _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
      }
      to += (run.bytes + 3) / 4 * 4;
    }
  }
  written();
  return {scratch, step};
}

template <int kVectors>
HWY_INLINE void store_some(const int32_t* sums, const Finish<int32_t>& finish, int64_t at,
                           uint8_t* const* outs) {
  const D d;
  store_tile<kVectors, kBlocks>(
      d, [&](int v, int b) { return hn::Load(d, sums + v * kTileRows + b * kSide); }, finish, at,
      outs);
}

// Sums of a tile, [vectors, kTileRows], on their way to results.
struct Finishing {
  const ByteMatrix* matrix = nullptr;
  const int32_t* sums = nullptr;
  int64_t at = 0;
  uint8_t* const* outs = nullptr;
  int64_t count = 0;  // vectors that are left

  HWY_INLINE void some(int64_t vectors) {
    if (count > 0) store(HWY_MIN(vectors, count));
  }
  HWY_INLINE void all() { some(count); }

 private:
  HWY_NOINLINE void store(int64_t vectors) {
    const Finish<int32_t>& finish = matrix->finish;
    if (finish.form != Form::bits && finish.form != Form::trits) {
      store_sums<kBlocks>(D(), sums, finish, at, outs, vectors);
    } else {
      int64_t v = 0;
      for (; v + 4 <= vectors; v += 4) store_some<4>(sums + v * kTileRows, finish, at, outs + v);
      for (; v < vectors; ++v) store_some<1>(sums + v * kTileRows, finish, at, outs + v);
    }
    sums += vectors * kTileRows, outs += vectors, count -= vectors;
  }
};

// Sums of 16 or 32 vectors with a tile of rows, [vectors, kTileRows]. Tiles keep a unit of their
// own busy: `finishing` goes on with sums of before in the meantime.
template <bool kBoth>
HWY_INLINE void multiply(const ByteMatrix& m, const Rows& first, const Rows& second, int64_t at,
                         int32_t* sums, Finishing& finishing) {
  constexpr int64_t kStep = 4 * kTileRows;
  const auto quads = static_cast<int64_t>(m.quads.size());
  const int8_t* w = m.weights.data() + at * quads * kStep;
  const auto* a = static_cast<const uint8_t*>(first.at);
  const auto* b = static_cast<const uint8_t*>(second.at);
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kBoth) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t q = 0; q < quads; q += kSide, w += kSide * kStep, a += kRow, b += kRow) {
    _tile_loadd(6, w, kStep);
    _tile_loadd(4, a, first.step);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, w + kRow, kStep);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kBoth) {
      _tile_loadd(5, b, second.step);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
    finishing.some(4);
  }
  finishing.all();
  _tile_stored(0, sums, kStep);
  _tile_stored(1, sums + kSide, kStep);
  if constexpr (kBoth) {
    _tile_stored(2, sums + kSide * kTileRows, kStep);
    _tile_stored(3, sums + kSide * kTileRows + kSide, kStep);
  }
}

void run(const ByteMatrix& m, const uint8_t* const* vectors, uint8_t* const* outs, int64_t count,
         int64_t first, int64_t last, uint8_t* scratch) {
  HWY_ALIGN int32_t sums[2][kStaged * kTileRows];
  Finishing finishing;
  const Tiles tiles;
  int turn = 0;
  for (int64_t begin = 0; begin < count; begin += kStaged) {
    const int64_t some = HWY_MIN(kStaged, count - begin);
    const uint8_t* const* from = vectors + begin;
    const Rows a = rows_of(m, from, HWY_MIN(some, kSide), scratch);
    const bool both = some > kSide;
    const Rows b = both ? rows_of(m, from + kSide, some - kSide, scratch + kSide * staged(m)) : a;
    for (int64_t at = first; at < last; ++at, turn = 1 - turn) {
      (both ? multiply<true> : multiply<false>)(m, a, b, at, sums[turn], finishing);
      finishing = {&m, sums[turn], at, outs + begin, some};
    }
  }
  finishing.all();
}

ByteRoutine routine() {
  return {.lanes = kSide, .blocks = kBlocks, .quads = kSide, .vectors = kStaged, .run = run};
}

// Sixteen quads of up to 32 columns as tiles 6 and 7 have them: where they lie if they are as far
// from one another, else copied, with zeros for those that are missing.
class Quads {
 public:
  explicit Quads(const ByteSums& s) : sums_(s) {
    for (int64_t q = 0; q < s.quads; q += kSide) {
      const int32_t* offsets = s.offsets + q;
      const int64_t step = kSide <= s.quads - q ? offsets[1] - offsets[0] : 0;
      bool even = step > 0;
      for (int64_t i = 2; even && i < kSide; ++i) even = offsets[i] - offsets[i - 1] == step;
      steps_.push_back(even ? step : 0);
      if (!even) copies_.resize(copies_.size() + kSide * 2 * kRow);
    }
    rows_.resize(steps_.size());
  }

  // Columns `column` to `column` + 31, in the order of quads.
  const Rows* at(int64_t column) {
    uint8_t* copy = copies_.data();
    for (size_t k = 0; k < steps_.size(); ++k) {
      const int32_t* offsets = sums_.offsets + kSide * k;
      const uint8_t* from = sums_.bytes + 4 * column;
      if (steps_[k] > 0) {
        rows_[k] = {from + offsets[0], steps_[k]};
        continue;
      }
      const int64_t some = HWY_MIN(kSide, sums_.quads - kSide * static_cast<int64_t>(k));
      for (int64_t i = 0; i < some; ++i) {
        std::memcpy(copy + i * 2 * kRow, from + offsets[i], 2 * kRow);
      }
      rows_[k] = {copy, 2 * kRow};
      copy += kSide * 2 * kRow;
    }
    written();
    return rows_.data();
  }

  int64_t count() const { return std::ssize(steps_); }

 private:
  const ByteSums& sums_;
  std::vector<int64_t> steps_;  // 0: copied
  std::vector<uint8_t> copies_;
  std::vector<Rows> rows_;
};

template <bool kRows, bool kColumns>
HWY_INLINE void sums_of(const ByteSums& s, const Rows* quads, int64_t count, const int8_t* rows,
                        int32_t* out) {
  const int64_t step = s.out_stride * 4;
  int32_t* below = out + kSide * s.out_stride;
  if (s.add) {
    _tile_loadd(0, out, step);
    if constexpr (kColumns) _tile_loadd(1, out + kSide, step);
    if constexpr (kRows) _tile_loadd(2, below, step);
    if constexpr (kRows && kColumns) _tile_loadd(3, below + kSide, step);
  } else {
    _tile_zero(0);
    if constexpr (kColumns) _tile_zero(1);
    if constexpr (kRows) _tile_zero(2);
    if constexpr (kRows && kColumns) _tile_zero(3);
  }
  for (int64_t k = 0; k < count; ++k, rows += kRow) {
    const auto* at = static_cast<const uint8_t*>(quads[k].at);
    _tile_loadd(6, at, quads[k].step);
    _tile_loadd(4, rows, s.row_bytes);
    _tile_dpbsud(0, 4, 6);
    if constexpr (kColumns) {
      _tile_loadd(7, at + kRow, quads[k].step);
      _tile_dpbsud(1, 4, 7);
    }
    if constexpr (kRows) {
      _tile_loadd(5, rows + kSide * s.row_bytes, s.row_bytes);
      _tile_dpbsud(2, 5, 6);
      if constexpr (kColumns) _tile_dpbsud(3, 5, 7);
    }
  }
  _tile_stored(0, out, step);
  if constexpr (kColumns) _tile_stored(1, out + kSide, step);
  if constexpr (kRows) _tile_stored(2, below, step);
  if constexpr (kRows && kColumns) _tile_stored(3, below + kSide, step);
}

template <bool kColumns>
void sums_of_rows(const ByteSums& s, const Rows* quads, int64_t count, int64_t column) {
  int64_t r = 0;
  for (; r + 2 * kSide <= s.count; r += 2 * kSide) {
    sums_of<true, kColumns>(s, quads, count, s.rows + r * s.row_bytes,
                            s.out + r * s.out_stride + column);
  }
  if (r < s.count) {
    sums_of<false, kColumns>(s, quads, count, s.rows + r * s.row_bytes,
                             s.out + r * s.out_stride + column);
  }
}

void sums(const ByteSums& s) {
  static_assert(kByteRows == kSide && kByteRoom >= kRow && kByteColumns >= 2 * kSide);
  Quads quads(s);
  const Tiles tiles;
  for (int64_t column = 0; column < s.columns; column += 2 * kSide) {
    const bool both = column + kSide < s.columns;
    (both ? sums_of_rows<true> : sums_of_rows<false>)(s, quads.at(column), quads.count(), column);
  }
}

double products(int64_t rounds) {
  const Tiles tiles;
  for (int64_t round = 0; round < rounds; ++round) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  return static_cast<double>(rounds) * 4 * kSide * kSide * kRow;
}

#else

ByteRoutine routine() { return {}; }
int64_t staged(const ByteMatrix&) { return 0; }
void sums(const ByteSums&) {}
double products(int64_t) { return 0; }

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace foldstream::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace foldstream::kernel {

HWY_EXPORT(routine);
HWY_EXPORT(staged);
HWY_EXPORT(sums);
HWY_EXPORT(products);

ByteRoutine tile_routine() { return HWY_DYNAMIC_DISPATCH(routine)(); }
int64_t staged_bytes(const ByteMatrix& matrix) { return HWY_DYNAMIC_DISPATCH(staged)(matrix); }
void byte_sums_by_tiles(const ByteSums& sums) { HWY_DYNAMIC_DISPATCH(sums)(sums); }
double tile_products(int64_t rounds) { return HWY_DYNAMIC_DISPATCH(products)(rounds); }

}  // namespace foldstream::kernel
#endif
