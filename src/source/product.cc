// SPDX-License-Identifier: Apache-2.0
#include "src/source/product.h"

namespace foldstream {
namespace {

// GCC's vectors of doubles: the sum of each column is one lane, so that the vector unit of any
// width gives the same bits.
using Lanes = double __attribute__((vector_size(4 * sizeof(double)), aligned(sizeof(double))));
constexpr int kVectors = kPanelColumns / 4;
constexpr int kRows = 4;

template <int Rows>
[[gnu::always_inline]] inline void add_rows(const double* a, int64_t stride_a, const double* b,
                                            int64_t inner, double* y, int64_t stride_y) {
  Lanes sum[Rows][kVectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = *reinterpret_cast<const Lanes*>(y + r * stride_y + 4 * v);
    }
  }
  for (int64_t k = 0; k < inner; ++k, b += kPanelColumns) {
    for (int v = 0; v < kVectors; ++v) {
      const Lanes x = *reinterpret_cast<const Lanes*>(b + 4 * v);
      for (int r = 0; r < Rows; ++r) sum[r][v] += a[r * stride_a + k] * x;
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Lanes*>(y + r * stride_y + 4 * v) = sum[r][v];
    }
  }
}

[[gnu::always_inline]] inline void add_all(const double* a, int64_t stride_a, int64_t rows,
                                           const double* b, int64_t inner, double* y,
                                           int64_t stride_y) {
  for (; rows >= kRows; rows -= kRows, a += kRows * stride_a, y += kRows * stride_y) {
    add_rows<kRows>(a, stride_a, b, inner, y, stride_y);
  }
  for (; rows > 0; --rows, a += stride_a, y += stride_y) {
    add_rows<1>(a, stride_a, b, inner, y, stride_y);
  }
}

using Product = void (*)(const double*, int64_t, int64_t, const double*, int64_t, double*, int64_t);

void plain(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
           double* y, int64_t stride_y) {
  add_all(a, stride_a, rows, b, inner, y, stride_y);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void wide(const double* a, int64_t stride_a, int64_t rows,
                                          const double* b, int64_t inner, double* y,
                                          int64_t stride_y) {
  add_all(a, stride_a, rows, b, inner, y, stride_y);
}

Product best() { return __builtin_cpu_supports("avx2") ? wide : plain; }
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
