// SPDX-License-Identifier: Apache-2.0
#include "src/ir/op.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/source/channels_last.h"
#include "src/source/import.h"
#include "src/source/product.h"
#include "src/source/window_layers.h"
#include "src/util/error.h"

namespace foldstream {
namespace {

constexpr std::string_view kOnnx[] = {"Conv", "channels_last:Conv"};

std::vector<Value> import(const OnnxNode& source, Graph& graph) {
  expect_operands(source, 2, 3);
  const bool last = source.domain == kChannelsLastDomain;
  const Value x = last ? channels_first(source.in[0], source.name + "_first", graph) : source.in[0];
  const Value w =
      last ? channels_first(source.in[1], source.name + "_weights", graph) : source.in[1];
  const Shape spatial = spatial_axes(x.type()), weights = w.type().shape;
  if (weights.size() != spatial.size() + 2) {
    throw Error(fmt::format("its weights are {}, expected {} axes", to_string(w.type()),
                            spatial.size() + 2));
  }
  Shape kernel(weights.begin() + 2, weights.end());
  const std::vector<int64_t>* declared = integers_attr(source, "kernel_shape");
  if (declared != nullptr && *declared != kernel) {
    throw Error(fmt::format("its kernel_shape is {} and its weights are {}", to_string(*declared),
                            to_string(w.type())));
  }
  NodeAttributes attr = window_attributes(import_window(source, std::move(kernel), spatial), false);
  if (const int64_t groups = integer_attr(source, "group", 1); groups != 1) attr["groups"] = groups;
  Value result{&graph.add(require_op("conv"), {x, w}, source.name, std::move(attr)), 0};
  if (source.has(2)) result = add_bias(result, source.in[2], source.name, graph);
  return {last ? channels_last(result, source.name + "_last", graph) : result};
}

struct Convolution {
  WindowShape window;
  Shape spatial, places;
  int64_t images = 0, groups = 1;
  int64_t channels = 0, rows = 0;  // of one group
};

Convolution convolution_of(const Node& node) {
  if (node.in.size() != 2) throw Error(fmt::format("has {} operands, expected 2", node.in.size()));
  const Type &x = node.in_type(0), &w = node.in_type(1);
  Convolution conv;
  conv.spatial = spatial_axes(x);
  conv.groups = node.integer("groups", 1);
  if (!w.is_float || w.shape.size() != x.shape.size()) {
    throw Error(fmt::format("its weights are {}, expected floats with {} axes", to_string(w),
                            x.shape.size()));
  }
  if (conv.groups < 1 || w.shape[0] % conv.groups != 0 || x.shape[1] % conv.groups != 0) {
    throw Error(fmt::format("{} groups don't divide {} channels and {} rows of weights",
                            conv.groups, x.shape[1], w.shape[0]));
  }
  conv.images = x.shape[0];
  conv.channels = x.shape[1] / conv.groups;
  conv.rows = w.shape[0] / conv.groups;
  if (w.shape[1] != conv.channels) {
    throw Error(
        fmt::format("its weights {} take {} channels in each of {} groups, its operand {} "
                    "has {}",
                    to_string(w), w.shape[1], conv.groups, to_string(x), conv.channels));
  }
  conv.window = window_of(node, {w.shape.begin() + 2, w.shape.end()});
  conv.places = window_places(conv.window, conv.spatial);
  return conv;
}

std::vector<Type> infer(const Node& node) {
  const Convolution conv = convolution_of(node);
  Shape shape = {conv.images, conv.groups * conv.rows};
  shape.insert(shape.end(), conv.places.begin(), conv.places.end());
  return {float_type(std::move(shape))};
}

// One image of one group. A line is a tensor of one spatial axis as an image of one row.
class GroupProduct {
 public:
  explicit GroupProduct(const Convolution& conv) : conv_(conv) {
    const WindowShape& window = conv.window;
    const bool line = window.axes() == 1;
    const auto along = [&](const Shape& values, int axis, int64_t absent) {
      return line ? (axis == 0 ? absent : values[0]) : values[axis];
    };
    for (int axis = 0; axis < 2; ++axis) {
      size_[axis] = along(conv.spatial, axis, 1);
      kernel_[axis] = along(window.kernel, axis, 1);
      stride_[axis] = along(window.stride, axis, 1);
      dilation_[axis] = along(window.dilation, axis, 1);
      begin_[axis] = along(window.pad, axis, 0);
      places_[axis] = along(conv.places, axis, 1);
    }
    all_places_ = places_[0] * places_[1];
    inner_ = conv.channels * kernel_[0] * kernel_[1];
  }

  // y [rows, places] = w [rows, inner] times the windows of x [channels, size].
  void run(const double* x, const double* w, double* y) {
    // Panels of windows that stay in the cache while every row of weights passes by.
    constexpr int64_t kInner = 512, kPanels = 16;
    const int64_t panels = (all_places_ + kPanelColumns - 1) / kPanelColumns;
    windows_.resize(kInner * kPanels * kPanelColumns);
    sums_.resize(conv_.rows * kPanels * kPanelColumns);
    for (int64_t first = 0; first < panels; first += kPanels) {
      const int64_t count = std::min(kPanels, panels - first);
      std::fill(sums_.begin(), sums_.end(), 0.0);
      for (int64_t k = 0; k < inner_; k += kInner) {
        const int64_t inner = std::min(kInner, inner_ - k);
        for (int64_t p = 0; p < count; ++p) {
          gather(x, first + p, k, inner, windows_.data() + p * kInner * kPanelColumns);
        }
        constexpr int64_t kRows = 16;
        for (int64_t row = 0; row < conv_.rows; row += kRows) {
          for (int64_t p = 0; p < count; ++p) {
            add_product(w + row * inner_ + k, inner_, std::min(kRows, conv_.rows - row),
                        windows_.data() + p * kInner * kPanelColumns, inner,
                        sums_.data() + (row * kPanels + p) * kPanelColumns,
                        kPanels * kPanelColumns);
          }
        }
      }
      const int64_t from = first * kPanelColumns;
      const int64_t here = std::min(count * kPanelColumns, all_places_ - from);
      for (int64_t row = 0; row < conv_.rows; ++row) {
        const double* sum = sums_.data() + row * kPanels * kPanelColumns;
        for (int64_t i = 0; i < here; ++i) {
          y[row * all_places_ + from + i] = static_cast<float>(sum[i]);
        }
      }
    }
  }

 private:
  // Elements k to k + inner of kPanelColumns windows side by side; zeros where there are none.
  void gather(const double* x, int64_t panel, int64_t k, int64_t inner, double* to) const {
    const int64_t positions = kernel_[0] * kernel_[1];
    int64_t top[kPanelColumns], left[kPanelColumns];
    for (int64_t i = 0; i < kPanelColumns; ++i) {
      const int64_t place = panel * kPanelColumns + i;
      // Behind the last window: above the image, where everything is zero.
      top[i] = place < all_places_ ? place / places_[1] * stride_[0] - begin_[0]
                                   : -kernel_[0] * dilation_[0];
      left[i] = place % places_[1] * stride_[1] - begin_[1];
    }
    for (int64_t j = k; j < k + inner; ++j, to += kPanelColumns) {
      const int64_t position = j % positions;
      const int64_t down = position / kernel_[1] * dilation_[0];
      const int64_t right = position % kernel_[1] * dilation_[1];
      const double* plane = x + j / positions * size_[0] * size_[1];
      for (int64_t i = 0; i < kPanelColumns; ++i) {
        const int64_t h = top[i] + down, v = left[i] + right;
        const bool there = h >= 0 && h < size_[0] && v >= 0 && v < size_[1];
        to[i] = there ? plane[h * size_[1] + v] : 0.0;
      }
    }
  }

  const Convolution& conv_;
  int64_t size_[2], kernel_[2], stride_[2], dilation_[2], begin_[2], places_[2];
  int64_t all_places_ = 0, inner_ = 0;
  std::vector<double> windows_, sums_;
};

// Sums in double and rounds once, as matmul does.
std::vector<Tensor> eval(const Node& node, std::span<const Tensor* const> in) {
  const Convolution conv = convolution_of(node);
  Tensor out = make_zero(node.out[0]);
  const int64_t operand = conv.channels * element_count(conv.spatial);
  const int64_t weights = conv.rows * conv.channels * conv.window.positions();
  const int64_t result = conv.rows * element_count(conv.places);
  GroupProduct product(conv);
  for (int64_t i = 0; i < conv.images * conv.groups; ++i) {
    product.run(in[0]->reals.data() + i * operand, in[1]->reals.data() + i % conv.groups * weights,
                out.reals.data() + i * result);
  }
  return {std::move(out)};
}

void to_onnx(const Node& node, OnnxSink& sink) {
  const Convolution conv = convolution_of(node);
  NodeAttributes attr = onnx_window(conv.window);
  attr["group"] = conv.groups;
  sink.node("", "Conv", {sink.input(0), sink.input(1)}, {sink.output(0)}, std::move(attr));
}

void lower(const Node& node, Lowering& lowering) {
  const Convolution conv = convolution_of(node);
  lower_convolution(lowering, conv.window, conv.groups);
}

}  // namespace

extern const Op op_conv;
const Op op_conv{.name = "conv",
                 .doc = "convolution in one or two dimensions, summed in double and rounded once",
                 .onnx = kOnnx,
                 .import = import,
                 .to_onnx = to_onnx,
                 .infer = infer,
                 .eval = eval,
                 .lower = lower};

}  // namespace foldstream
