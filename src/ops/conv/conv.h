// SPDX-License-Identifier: Apache-2.0
// A convolution of floats and its product, which the reference and the CPU twin compute alike.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "src/ir/graph.h"
#include "src/ir/kernel.h"
#include "src/source/product.h"
#include "src/source/window_layers.h"

namespace foldstream::conv {

struct Convolution {
  WindowShape window;
  Shape spatial, places;
  int64_t images = 0, groups = 1;
  int64_t channels = 0, rows = 0;  // of one group

  // Elements of one image of one group.
  int64_t operand() const { return channels * element_count(spatial); }
  int64_t weights() const { return rows * channels * window.positions(); }
  int64_t result() const { return rows * element_count(places); }
};

// Throws Error.
Convolution convolution_of(const Node& node);

// One image of one group, a block of windows at a time. Sums are in double, in the order of the
// weights, and rounded once to float32. A line is a tensor of one spatial axis as an image of one
// row.
class GroupProduct {
 public:
  explicit GroupProduct(const Convolution& conv);

  int64_t blocks() const { return (panels_ + kPanels - 1) / kPanels; }
  int64_t scratch() const { return (inner_at_once() + rows_) * kPanels * kPanelColumns; }

  // Block `block` of y [rows, places] = w [rows, inner] times the windows of x [channels, size];
  // both of double or of float. `scratch` has room for so many.
  template <class T>
  void run(const T* x, const double* w, T* y, int64_t block, double* scratch) const {
    double *const windows = scratch, *const sums =
                                         windows + inner_at_once() * kPanels * kPanelColumns;
    const int64_t first = block * kPanels, count = std::min(kPanels, panels_ - first);
    std::fill_n(sums, rows_ * kPanels * kPanelColumns, 0.0);
    for (int64_t k = 0; k < inner_; k += kInner) {
      const int64_t inner = std::min(kInner, inner_ - k), apart = inner_at_once() * kPanelColumns;
      for (int64_t p = 0; p < count; ++p) gather(x, first + p, k, inner, windows + p * apart);
      constexpr int64_t kRows = 16;
      for (int64_t row = 0; row < rows_; row += kRows) {
        for (int64_t p = 0; p < count; ++p) {
          add_product(w + row * inner_ + k, inner_, std::min(kRows, rows_ - row),
                      windows + p * apart, inner, sums + (row * kPanels + p) * kPanelColumns,
                      kPanels * kPanelColumns);
        }
      }
    }
    const int64_t from = first * kPanelColumns;
    const int64_t here = std::min(count * kPanelColumns, all_places_ - from);
    for (int64_t row = 0; row < rows_; ++row) {
      const double* sum = sums + row * kPanels * kPanelColumns;
      T* to = y + row * all_places_ + from;
      for (int64_t i = 0; i < here; ++i) to[i] = static_cast<float>(sum[i]);
    }
  }

 private:
  // Panels of windows that stay in the cache while every row of weights passes by.
  static constexpr int64_t kInner = 512, kPanels = 16;

  int64_t inner_at_once() const { return std::min(kInner, inner_); }

  // Elements k to k + inner of kPanelColumns windows side by side; zeros where there are none.
  template <class T>
  void gather(const T* x, int64_t panel, int64_t k, int64_t inner, double* to) const {
    std::array<int64_t, kPanelColumns> top, left;
    for (int64_t i = 0; i < kPanelColumns; ++i) {
      const int64_t place = panel * kPanelColumns + i;
      // Behind the last window: above the image, where everything is zero.
      top[i] = place < all_places_ ? place / places_[1] * stride_[0] - begin_[0]
                                   : -kernel_[0] * dilation_[0];
      left[i] = place % places_[1] * stride_[1] - begin_[1];
    }
    const bool one_line = top.front() == top.back();
    const int64_t positions = kernel_[0] * kernel_[1];
    for (int64_t j = k; j < k + inner; ++j, to += kPanelColumns) {
      const int64_t position = j % positions;
      const int64_t down = position / kernel_[1] * dilation_[0];
      const int64_t right = position % kernel_[1] * dilation_[1];
      const T* plane = x + j / positions * size_[0] * size_[1];
      const int64_t line = top.front() + down;
      if (one_line && line >= 0 && line < size_[0] && left.front() + right >= 0 &&
          left.back() + right < size_[1]) {
        const T* from = plane + line * size_[1] + left.front() + right;
        for (int64_t i = 0; i < kPanelColumns; ++i) to[i] = from[i * stride_[1]];
        continue;
      }
      for (int64_t i = 0; i < kPanelColumns; ++i) {
        const int64_t h = top[i] + down, v = left[i] + right;
        const bool there = h >= 0 && h < size_[0] && v >= 0 && v < size_[1];
        to[i] = there ? plane[h * size_[1] + v] : 0.0;
      }
    }
  }

  std::array<int64_t, 2> size_, kernel_, stride_, dilation_, begin_, places_;
  int64_t rows_, all_places_, panels_, inner_;
};

extern const Kernels kernels;  // of the CPU twin

}  // namespace foldstream::conv
