// SPDX-License-Identifier: Apache-2.0
// Windows that slide over the spatial axes of [N, C, L] or [N, C, H, W], as ONNX's convolutions and
// pools declare them.
#pragma once

#include <map>
#include <string>

#include "src/ir/onnx_node.h"

namespace foldstream {

// Geometry by spatial axis. `pad` has all begins, then all ends.
struct WindowShape {
  Shape kernel, stride, dilation, pad;

  size_t axes() const { return kernel.size(); }
  // Elements from the first to the last that a window covers along an axis.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilation[axis] + 1; }
  bool padded() const;
  int64_t positions() const;  // of one window
};

// The largest kernel, stride, dilation or pad: far above every network, far below what products of
// these overflow at.
constexpr int64_t kMostWindow = int64_t{1} << 20;

using NodeAttributes = std::map<std::string, Attr, std::less<>>;

// Throws Error unless `type` is [N, C, L] or [N, C, H, W]; its spatial axes.
Shape spatial_axes(const Type& type);

// strides, dilations, pads and auto_pad of an ONNX node, checked; what is absent is filled in.
WindowShape import_window(const OnnxNode& source, Shape kernel, const Shape& spatial);
// The attribute kernel_shape; throws Error when it is absent.
Shape kernel_shape(const OnnxNode& source);

// Lengthens the padding at the end by what ceil_mode makes the last window reach beyond it; by how
// much along each axis.
Shape extend_to_ceil(WindowShape& window, const Shape& spatial);

// As attributes of a node (stride, dilation, pad; kernel where `with_kernel`), and back.
NodeAttributes window_attributes(const WindowShape& window, bool with_kernel);
WindowShape window_of(const Node& node, Shape kernel);
// Throws Error unless each list has numbers in reach for so many axes.
void check_window(const WindowShape& window, size_t axes);
// The spatial axes of the result; throws Error on a window that makes no sense or doesn't fit.
Shape window_places(const WindowShape& window, const Shape& spatial);
// The attributes of the ONNX node.
NodeAttributes onnx_window(const WindowShape& window);

// The first element and the end of those that the window at `place` covers along an axis and that
// are no padding, as positions in the window.
struct WindowPart {
  int64_t begin = 0, end = 0;
};
WindowPart inside(const WindowShape& window, size_t axis, int64_t place, int64_t size);

}  // namespace foldstream
