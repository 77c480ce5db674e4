// SPDX-License-Identifier: Apache-2.0
// Windows over a channels-last frame, as operators carry them: attributes kernel, stride, dilation
// and pad of two axes for an operand [N, H, W, C], of one for [N, L, C].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace foldstream {
class OnnxSink;
}

namespace foldstream::window {

struct Axis {
  int64_t size = 1, kernel = 1, stride = 1, dilation = 1;
  int64_t before = 0, after = 0;  // padding

  int64_t reach() const { return (kernel - 1) * dilation + 1; }
  int64_t windows() const { return (size + before + after - reach()) / stride + 1; }
  // Of a window's tap in the frame; outside it in the padding.
  int64_t position(int64_t window, int64_t tap) const {
    return window * stride - before + tap * dilation;
  }
  bool inside(int64_t position) const { return position >= 0 && position < size; }
  bool padded() const { return before > 0 || after > 0; }
  auto operator<=>(const Axis&) const = default;
};

struct Geometry {
  // Reads operand 0 and the attributes. Throws Error on an operand that is no frame, on attributes
  // that don't describe a window, on a kernel that fits nowhere and on padding that a whole window
  // could lie in.
  explicit Geometry(const Node& node);

  int64_t images = 1;  // N; they follow one another
  Axis rows, columns;  // rows of size 1 for an operand [N, L, C]
  int64_t channels = 1;
  int64_t pad_value = 0;
  bool one_axis = false;
  Type operand, element;  // of the operand's elements; of these and the padding; without a shape

  int64_t taps() const { return rows.kernel * columns.kernel; }
  int64_t windows() const { return rows.windows() * columns.windows(); }  // in an image
  bool padded() const { return rows.padded() || columns.padded(); }
  // Whether padding is an element of the operand's own type.
  bool padding_fits() const { return element == operand; }
  // [N, OH, OW, channels], or [N, OL, channels].
  Shape result(int64_t result_channels) const;
};

// For every window, in order: visit(window, tap, offset) for the taps inside the frame in the order
// of the kernel; `window` counts all images' windows, `offset` is the operand's element of channel
// 0 at that tap.
template <class Visit>
void for_each_tap(const Geometry& g, const Visit& visit) {
  int64_t window = 0;
  for (int64_t image = 0; image < g.images; ++image) {
    for (int64_t oh = 0; oh < g.rows.windows(); ++oh) {
      for (int64_t ow = 0; ow < g.columns.windows(); ++ow, ++window) {
        for (int64_t kh = 0; kh < g.rows.kernel; ++kh) {
          const int64_t ih = g.rows.position(oh, kh);
          if (!g.rows.inside(ih)) continue;
          for (int64_t kw = 0; kw < g.columns.kernel; ++kw) {
            const int64_t iw = g.columns.position(ow, kw);
            if (!g.columns.inside(iw)) continue;
            visit(window, kh * g.columns.kernel + kw,
                  ((image * g.rows.size + ih) * g.columns.size + iw) * g.channels);
          }
        }
      }
    }
  }
}

// A frame in memory with its padding around it, so many bytes a position: where windows and their
// taps lie.
class PaddedFrame {
 public:
  PaddedFrame(const Geometry& geometry, int64_t position_bytes)
      : g_(geometry), bytes_(position_bytes) {}

  int64_t height() const { return g_.rows.before + g_.rows.size + g_.rows.after; }
  int64_t width() const { return g_.columns.before + g_.columns.size + g_.columns.after; }
  // Of the first tap of every window, in order.
  std::vector<int64_t> window_offsets() const;
  // Of every tap from the first, in the order of the kernel.
  std::vector<int64_t> tap_offsets() const;

 private:
  const Geometry& g_;
  int64_t bytes_;
};

// Writes the ONNX nodes that put the padding around operand 0; gives the name of the result.
std::string pad_onnx(const Geometry& geometry, OnnxSink& sink);

}  // namespace foldstream::window
