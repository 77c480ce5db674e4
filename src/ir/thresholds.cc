// SPDX-License-Identifier: Apache-2.0
#include "src/ir/thresholds.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/ir/onnx_node.h"
#include "src/util/error.h"

namespace foldstream {

Thresholds::Thresholds(const Node& node, int64_t channels) {
  const Tensor* t = node.tensor("t");
  if (t == nullptr || t->type.is_float || t->type.shape.size() != 2) {
    throw Error("thresholds 't' must be integers of shape [channels, levels]");
  }
  rows_ = t->type.shape[0], levels_ = t->type.shape[1];
  if ((rows_ != channels && rows_ != 1) || levels_ < 1 || levels_ > 65535) {
    throw Error(
        fmt::format("thresholds of shape {} for {} channels", to_string(t->type.shape), channels),
        fmt::format("expected [{}, n] or [1, n] with n from 1 to 65535", channels));
  }
  t_ = t->ints.data();
  for (int64_t r = 0; r < rows_; ++r) {
    if (!std::is_sorted(t_ + r * levels_, t_ + (r + 1) * levels_)) {
      throw Error(fmt::format("the thresholds of channel {} do not ascend", r));
    }
  }
  if (const Tensor* flip = node.tensor("flip")) {
    if (flip->type != integer_type(1, false, {rows_})) {
      throw Error(fmt::format("'flip' is {}, expected u1[{}]", to_string(flip->type), rows_));
    }
    flip_ = flip->ints.data();
  }
}

int64_t Thresholds::apply(int64_t channel, int64_t x) const {
  const int64_t* first = row(channel);
  int64_t reached = 0;
  if (levels_ <= 16) {
    for (int64_t i = 0; i < levels_; ++i) reached += x >= first[i];
  } else {
    reached = std::upper_bound(first, first + levels_, x) - first;
  }
  return flipped(channel) ? levels_ - reached : reached;
}

Type Thresholds::result(Shape shape) const { return type_for_range(0, levels_, std::move(shape)); }

void Thresholds::to_onnx(OnnxSink& sink, const std::string& input, const Shape& shape,
                         size_t axis) const {
  // The QONNX package thresholds [n, channels] tensors, so others are brought to that form.
  const size_t rank = shape.size();
  const bool moves = axis + 1 != rank;
  std::vector<int64_t> order(rank), back(rank);
  for (size_t i = 0, at = 0; i < rank; ++i) {
    if (i != axis) order[at++] = static_cast<int64_t>(i);
  }
  Shape moved(rank);
  if (rank > 0) order[rank - 1] = static_cast<int64_t>(axis);
  for (size_t i = 0; i < rank; ++i) {
    back[order[i]] = static_cast<int64_t>(i);
    moved[i] = shape[order[i]];
  }
  const bool reshapes = rank != 2;
  const int64_t channels = rank == 0 ? 1 : shape[axis];
  std::string at = input;
  if (moves) {
    const std::string next = sink.temporary("channels_last");
    sink.node("", "Transpose", {at}, {next}, {{"perm", order}});
    at = next;
  }
  if (reshapes) {
    const std::string next = sink.temporary("rows");
    sink.node("", "Reshape", {at, sink.index_constant(make_ints(Shape{2}, {-1, channels}), "rows")},
              {next});
    at = next;
  }
  const bool any_flip =
      flip_ != nullptr && std::any_of(flip_, flip_ + rows_, [](int64_t f) { return f != 0; });
  const auto step = [&](bool last, const char* hint) {
    return last ? sink.output(0) : sink.temporary(hint);
  };
  std::vector<int64_t> values(t_, t_ + rows_ * levels_);
  std::string next = step(!any_flip && !reshapes && !moves, "reached");
  sink.node("qonnx.custom_op.general", "MultiThreshold",
            {at, sink.constant(make_ints(Shape{rows_, levels_}, std::move(values)), "thresholds")},
            {next}, {{"out_dtype", fmt::format("UINT{}", result({}).bits)}});
  at = next;
  if (any_flip) {
    std::vector<int64_t> sign(rows_), offset(rows_);
    for (int64_t r = 0; r < rows_; ++r) {
      sign[r] = flip_[r] != 0 ? -1 : 1, offset[r] = flip_[r] != 0 ? levels_ : 0;
    }
    next = sink.temporary("signed");
    sink.node("", "Mul", {at, sink.constant(make_ints(Shape{rows_}, std::move(sign)), "signs")},
              {next});
    at = next;
    next = step(!reshapes && !moves, "flipped");
    sink.node("", "Add", {at, sink.constant(make_ints(Shape{rows_}, std::move(offset)), "offset")},
              {next});
    at = next;
  }
  if (reshapes) {
    next = step(!moves, "shaped");
    const auto dims = static_cast<int64_t>(rank);
    sink.node("", "Reshape", {at, sink.index_constant(make_ints(Shape{dims}, moved), "shape")},
              {next});
    at = next;
  }
  if (moves) sink.node("", "Transpose", {at}, {sink.output(0)}, {{"perm", back}});
}

}  // namespace foldstream
