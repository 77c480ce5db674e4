// SPDX-License-Identifier: Apache-2.0
#include "src/source/pooling.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/op.h"
#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/util/error.h"

namespace foldstream {

WindowShape pool_window(const Node& node) { return window_of(node, node.integers("kernel", {})); }

std::vector<Type> infer_pool(const Node& node) {
  if (node.in.size() != 1) throw Error(fmt::format("has {} operands, expected 1", node.in.size()));
  const Shape& from = node.in_type(0).shape;
  const WindowShape window = pool_window(node);
  const Shape spatial = spatial_axes(node.in_type(0)), places = window_places(window, spatial);
  for (size_t axis = 0; axis < places.size(); ++axis) {
    for (int64_t place = 0; place < places[axis]; ++place) {
      const WindowPart part = inside(window, axis, place, spatial[axis]);
      if (part.begin < part.end) continue;
      throw Error(fmt::format("its window {} along axis {} holds padding alone", place, axis + 2),
                  "pad less, or pad the operand before");
    }
  }
  Shape shape{from[0], from[1]};
  shape.insert(shape.end(), places.begin(), places.end());
  return {float_type(std::move(shape))};
}

Tensor eval_pool(const Node& node, const Tensor& x,
                 const std::function<double(const std::vector<double>& elements,
                                            const std::vector<int64_t>& place)>& pool) {
  const WindowShape window = pool_window(node);
  const Shape spatial = spatial_axes(x.type), places = window_places(window, spatial);
  Tensor out = make_zero(node.out[0]);
  // A line is an image of one row.
  const bool line = window.axes() == 1;
  const size_t across = window.axes() - 1;
  const int64_t height = line ? 1 : spatial[0], width = spatial[across];
  const int64_t down = line ? 1 : places[0], right = places[across];
  const int64_t planes = x.type.shape[0] * x.type.shape[1];
  std::vector<double> elements;
  auto to = out.reals.begin();
  for (int64_t plane = 0; plane < planes; ++plane) {
    const double* values = x.reals.data() + plane * height * width;
    for (int64_t oh = 0; oh < down; ++oh) {
      const WindowPart rows = line ? WindowPart{0, 1} : inside(window, 0, oh, height);
      for (int64_t ow = 0; ow < right; ++ow) {
        const WindowPart columns = inside(window, across, ow, width);
        elements.clear();
        for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
          const int64_t h =
              line ? 0 : oh * window.stride[0] - window.pad[0] + kh * window.dilation[0];
          for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
            const int64_t w =
                ow * window.stride[across] - window.pad[across] + kw * window.dilation[across];
            elements.push_back(values[h * width + w]);
          }
        }
        *to++ = pool(elements, line ? std::vector<int64_t>{ow} : std::vector<int64_t>{oh, ow});
      }
    }
  }
  return out;
}

std::vector<Value> import_pool(std::string_view op, const OnnxNode& source, bool global,
                               NodeAttributes more, Graph& graph) {
  expect_operands(source, 1, 1);
  const bool last = source.domain == kChannelsLastDomain || source.type == "MaxPoolNHWC";
  const Value x = last ? channels_first(source.in[0], source.name + "_first", graph) : source.in[0];
  const Shape spatial = spatial_axes(x.type());
  WindowShape window;
  if (global) {
    window = {spatial, Shape(spatial.size(), 1), Shape(spatial.size(), 1),
              Shape(2 * spatial.size(), 0)};
  } else {
    window = import_window(source, kernel_shape(source), spatial);
  }
  if (integer_attr(source, "ceil_mode", 0) != 0) {
    const Shape reach = extend_to_ceil(window, spatial);
    if (std::any_of(reach.begin(), reach.end(), [](int64_t r) { return r > 0; })) {
      more["reach"] = reach;
    }
  }
  more.merge(window_attributes(window, true));
  const Value result{&graph.add(require_op(op), {x}, source.name, std::move(more)), 0};
  return {last ? channels_last(result, source.name + "_last", graph) : result};
}

}  // namespace foldstream
