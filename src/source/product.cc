// SPDX-License-Identifier: Apache-2.0
#include "src/source/product.h"

namespace foldstream {
namespace {

// GCC's vectors of doubles: the sum of each column is one lane, so that the vector unit of any
// width gives the same bits.
template <int kLanes>
using Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(sizeof(double)))) = double;

template <int kLanes, int kRows>
[[gnu::always_inline]] inline void add_panel(const double* a, int64_t stride_a, const double* b,
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
[[gnu::always_inline]] inline void add_panels(const double* a, int64_t stride_a, int64_t rows,
                                              const double* b, int64_t inner, double* y,
                                              int64_t stride_y) {
  for (; rows >= kRows; rows -= kRows, a += kRows * stride_a, y += kRows * stride_y) {
    add_panel<kLanes, kRows>(a, stride_a, b, inner, y, stride_y);
  }
  if constexpr (kRows > 1) add_panels<kLanes, kRows / 2>(a, stride_a, rows, b, inner, y, stride_y);
}

// w is read once for kRows rows, y once for four rows of w.
template <int kLanes, int kRows>
[[gnu::always_inline]] inline void add_matrix(const double* x, int64_t rows, const double* w,
                                              int64_t inner, int64_t columns, double* y) {
  using Vector = Lanes<kLanes>;
  const int64_t whole = columns / kLanes * kLanes;
  for (; rows >= kRows; rows -= kRows, x += kRows * inner, y += kRows * columns) {
    int64_t k = 0;
    for (; k + 4 <= inner; k += 4) {
      const double* row[4];
      for (int i = 0; i < 4; ++i) row[i] = w + (k + i) * columns;
      for (int64_t j = 0; j < whole; j += kLanes) {
        Vector of[4];
        for (int i = 0; i < 4; ++i) of[i] = *reinterpret_cast<const Vector*>(row[i] + j);
        for (int r = 0; r < kRows; ++r) {
          const double* at = x + r * inner + k;
          *reinterpret_cast<Vector*>(y + r * columns + j) +=
              (at[0] * of[0] + at[1] * of[1]) + (at[2] * of[2] + at[3] * of[3]);
        }
      }
      for (int r = 0; r < kRows; ++r) {
        const double* at = x + r * inner + k;
        for (int64_t j = whole; j < columns; ++j) {
          y[r * columns + j] +=
              (at[0] * row[0][j] + at[1] * row[1][j]) + (at[2] * row[2][j] + at[3] * row[3][j]);
        }
      }
    }
    for (; k < inner; ++k) {
      for (int r = 0; r < kRows; ++r) {
        for (int64_t j = 0; j < columns; ++j) {
          y[r * columns + j] += x[r * inner + k] * w[k * columns + j];
        }
      }
    }
  }
  if constexpr (kRows > 1) add_matrix<kLanes, 1>(x, rows, w, inner, columns, y);
}

struct Products {
  void (*panel)(const double*, int64_t, int64_t, const double*, int64_t, double*, int64_t);
  void (*rows)(const double*, int64_t, const double*, int64_t, int64_t, double*);
};

void panel(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
           double* y, int64_t stride_y) {
  add_panels<4>(a, stride_a, rows, b, inner, y, stride_y);
}
void rows(const double* x, int64_t rows, const double* w, int64_t inner, int64_t columns,
          double* y) {
  add_matrix<4, 4>(x, rows, w, inner, columns, y);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void wide_panel(const double* a, int64_t stride_a, int64_t rows,
                                                const double* b, int64_t inner, double* y,
                                                int64_t stride_y) {
  add_panels<4>(a, stride_a, rows, b, inner, y, stride_y);
}
__attribute__((target("avx2"))) void wide_rows(const double* x, int64_t rows, const double* w,
                                               int64_t inner, int64_t columns, double* y) {
  add_matrix<4, 4>(x, rows, w, inner, columns, y);
}

__attribute__((target("avx512f"))) void widest_panel(const double* a, int64_t stride_a,
                                                     int64_t rows, const double* b, int64_t inner,
                                                     double* y, int64_t stride_y) {
  add_panels<8>(a, stride_a, rows, b, inner, y, stride_y);
}
__attribute__((target("avx512f"))) void widest_rows(const double* x, int64_t rows, const double* w,
                                                    int64_t inner, int64_t columns, double* y) {
  add_matrix<8, 4>(x, rows, w, inner, columns, y);
}

Products best() {
  if (__builtin_cpu_supports("avx512f")) return {widest_panel, widest_rows};
  if (__builtin_cpu_supports("avx2")) return {wide_panel, wide_rows};
  return {panel, rows};
}
#else
Products best() { return {panel, rows}; }
#endif

const Products& products() {
  static const Products of_this_machine = best();
  return of_this_machine;
}

}  // namespace

void add_product(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
                 double* y, int64_t stride_y) {
  products().panel(a, stride_a, rows, b, inner, y, stride_y);
}

void add_rows(const double* x, int64_t rows, const double* w, int64_t inner, int64_t columns,
              double* y) {
  products().rows(x, rows, w, inner, columns, y);
}

}  // namespace foldstream
