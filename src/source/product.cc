// SPDX-License-Identifier: Apache-2.0
#include "src/source/product.h"

namespace foldstream {
namespace {

// GCC's vectors of doubles: the sum of each column is one lane, so that the vector unit of any
// width gives the same bits.
template <int kLanes>
using Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(sizeof(double)))) = double;

template <int kLanes, int kRows>
[[gnu::always_inline]] inline void add_rows(const double* a, int64_t stride_a, const double* b,
                                            int64_t inner, double* y, int64_t stride_y) {
  constexpr int kVectors = kPanelColumns / kLanes;
  using Vector = Lanes<kLanes>;
  Vector sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = *reinterpret_cast<const Vector*>(y + r * stride_y + kLanes * v);
    }
  }
  for (int64_t k = 0; k < inner; ++k, b += kPanelColumns) {
    for (int v = 0; v < kVectors; ++v) {
      const Vector x = *reinterpret_cast<const Vector*>(b + kLanes * v);
      for (int r = 0; r < kRows; ++r) sum[r][v] += a[r * stride_a + k] * x;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Vector*>(y + r * stride_y + kLanes * v) = sum[r][v];
    }
  }
}

// As many rows at once as there are sums to keep the vector unit busy, then what is left of them.
template <int kLanes, int kRows = kLanes>
[[gnu::always_inline]] inline void add_all(const double* a, int64_t stride_a, int64_t rows,
                                           const double* b, int64_t inner, double* y,
                                           int64_t stride_y) {
  for (; rows >= kRows; rows -= kRows, a += kRows * stride_a, y += kRows * stride_y) {
    add_rows<kLanes, kRows>(a, stride_a, b, inner, y, stride_y);
  }
  if constexpr (kRows > 1) add_all<kLanes, kRows / 2>(a, stride_a, rows, b, inner, y, stride_y);
}

using Product = void (*)(const double*, int64_t, int64_t, const double*, int64_t, double*, int64_t);

void plain(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
           double* y, int64_t stride_y) {
  add_all<4>(a, stride_a, rows, b, inner, y, stride_y);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void wide(const double* a, int64_t stride_a, int64_t rows,
                                          const double* b, int64_t inner, double* y,
                                          int64_t stride_y) {
  add_all<4>(a, stride_a, rows, b, inner, y, stride_y);
}

__attribute__((target("avx512f"))) void widest(const double* a, int64_t stride_a, int64_t rows,
                                               const double* b, int64_t inner, double* y,
                                               int64_t stride_y) {
  add_all<8>(a, stride_a, rows, b, inner, y, stride_y);
}

Product best() {
  if (__builtin_cpu_supports("avx512f")) return widest;
  return __builtin_cpu_supports("avx2") ? wide : plain;
}
#else
Product best() { return plain; }
#endif

}  // namespace

void add_product(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
                 double* y, int64_t stride_y) {
  static const Product product = best();
  product(a, stride_a, rows, b, inner, y, stride_y);
}

}  // namespace foldstream
