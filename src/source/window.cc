// SPDX-License-Identifier: Apache-2.0
#include "src/source/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

void check(std::string_view what, const Shape& values, size_t expected, int64_t least,
           int64_t most = kMostWindow) {
  if (values.size() != expected) {
    throw Error(fmt::format("its {} is {}, expected {} {}", what, to_string(values), expected,
                            expected == 1 ? "number" : "numbers"));
  }
  for (const int64_t value : values) {
    if (value < least || value > most) {
      throw Error(
          fmt::format("its {} is {}, expected {} to {}", what, to_string(values), least, most));
    }
  }
}

Shape ones(size_t axes) { return Shape(axes, 1); }

// Half of what makes ceil(size / stride) windows at each side, the odd one where auto_pad says.
void pad_to_same(WindowShape& window, const Shape& spatial, bool odd_at_begin) {
  const size_t axes = window.axes();
  for (size_t d = 0; d < axes; ++d) {
    const int64_t places = (spatial[d] + window.stride[d] - 1) / window.stride[d];
    const int64_t total =
        std::max<int64_t>(0, (places - 1) * window.stride[d] + window.extent(d) - spatial[d]);
    window.pad[d] = odd_at_begin ? total - total / 2 : total / 2;
    window.pad[axes + d] = total - window.pad[d];
  }
}

}  // namespace

void check_window(const WindowShape& window, size_t axes) {
  if (window.axes() != axes) {
    throw Error(fmt::format("its kernel {} has {} axes, its operand {}", to_string(window.kernel),
                            window.axes(), axes));
  }
  check("kernel", window.kernel, axes, 1);
  check("stride", window.stride, axes, 1);
  check("dilation", window.dilation, axes, 1);
  check("pad", window.pad, 2 * axes, 0);
}

bool WindowShape::padded() const {
  return std::any_of(pad.begin(), pad.end(), [](int64_t p) { return p > 0; });
}

int64_t WindowShape::positions() const { return element_count(kernel); }

Shape spatial_axes(const Type& type) {
  if (!type.is_float) {
    throw Error(fmt::format("its operand is {}, expected floats", to_string(type)));
  }
  if (type.shape.size() < 3 || type.shape.size() > 4) {
    throw Error(
        fmt::format("its operand is {}, expected [N, C, L] or [N, C, H, W]", to_string(type)),
        type.shape.size() > 4 ? "windows in three dimensions are not supported" : "");
  }
  return {type.shape.begin() + 2, type.shape.end()};
}

Shape kernel_shape(const OnnxNode& source) {
  const std::vector<int64_t>* kernel = integers_attr(source, "kernel_shape");
  if (kernel == nullptr) throw Error("has no kernel_shape");
  return *kernel;
}

WindowShape import_window(const OnnxNode& source, Shape kernel, const Shape& spatial) {
  const size_t axes = spatial.size();
  check("kernel", kernel, axes, 1);
  const auto list = [&](std::string_view key, Shape absent) {
    const std::vector<int64_t>* given = integers_attr(source, key);
    return given == nullptr ? absent : *given;
  };
  WindowShape window{std::move(kernel), list("strides", ones(axes)), list("dilations", ones(axes)),
                     Shape(2 * axes, 0)};
  check("stride", window.stride, axes, 1);
  check("dilation", window.dilation, axes, 1);
  const std::string automatic = text_attr(source, "auto_pad", "NOTSET");
  if (automatic == "NOTSET") {
    window.pad = list("pads", window.pad);
    check("pad", window.pad, 2 * axes, 0);
  } else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    pad_to_same(window, spatial, automatic == "SAME_LOWER");
  } else if (automatic != "VALID") {
    throw Error(fmt::format("its auto_pad is '{}'", automatic),
                "expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  return window;
}

Shape extend_to_ceil(WindowShape& window, const Shape& spatial) {
  const size_t axes = window.axes();
  Shape reach(axes, 0);
  for (size_t d = 0; d < axes; ++d) {
    const int64_t padded = spatial[d] + window.pad[d] + window.pad[axes + d];
    const int64_t stride = window.stride[d], rest = padded - window.extent(d);
    if (rest < 0) continue;  // refused where the places are counted
    int64_t last = (rest + stride - 1) / stride * stride;
    if (last >= spatial[d] + window.pad[d]) last -= stride;  // it would hold padding alone
    reach[d] = std::max<int64_t>(0, last + window.extent(d) - padded);
    window.pad[axes + d] += reach[d];
  }
  return reach;
}

NodeAttributes window_attributes(const WindowShape& window, bool with_kernel) {
  NodeAttributes attr;
  if (with_kernel) attr["kernel"] = window.kernel;
  const auto differs = [](const Shape& values, int64_t from) {
    return std::any_of(values.begin(), values.end(), [&](int64_t v) { return v != from; });
  };
  if (differs(window.stride, 1)) attr["stride"] = window.stride;
  if (differs(window.dilation, 1)) attr["dilation"] = window.dilation;
  if (differs(window.pad, 0)) attr["pad"] = window.pad;
  return attr;
}

WindowShape window_of(const Node& node, Shape kernel) {
  const size_t axes = kernel.size();
  return {std::move(kernel), node.integers("stride", ones(axes)),
          node.integers("dilation", ones(axes)), node.integers("pad", Shape(2 * axes, 0))};
}

Shape window_places(const WindowShape& window, const Shape& spatial) {
  check_window(window, spatial.size());
  for (size_t d = 0; d < window.pad.size(); ++d) {
    if (window.pad[d] >= window.extent(d % window.axes())) {
      throw Error(fmt::format("its pad {} is not smaller than what its kernel {} covers",
                              to_string(window.pad), to_string(window.kernel)),
                  "some windows would hold padding alone: pad less, or pad the operand before");
    }
  }
  Shape places;
  for (size_t d = 0; d < spatial.size(); ++d) {
    const int64_t padded = spatial[d] + window.pad[d] + window.pad[window.axes() + d];
    if (padded < window.extent(d)) {
      throw Error(fmt::format("its kernel {} with dilation {} covers {} elements of axis {}, which "
                              "has {} with padding",
                              to_string(window.kernel), to_string(window.dilation),
                              window.extent(d), d + 2, padded),
                  "use a smaller kernel, or pad");
    }
    places.push_back((padded - window.extent(d)) / window.stride[d] + 1);
  }
  return places;
}

NodeAttributes onnx_window(const WindowShape& window) {
  return {{"kernel_shape", window.kernel},
          {"strides", window.stride},
          {"dilations", window.dilation},
          {"pads", window.pad}};
}

WindowPart inside(const WindowShape& window, size_t axis, int64_t place, int64_t size) {
  const int64_t dilation = window.dilation[axis];
  const int64_t first = place * window.stride[axis] - window.pad[axis];
  const auto ceil_div = [&](int64_t a) { return a <= 0 ? 0 : (a + dilation - 1) / dilation; };
  return {std::min(window.kernel[axis], ceil_div(-first)),
          std::min(window.kernel[axis], ceil_div(size - first))};
}

}  // namespace foldstream
