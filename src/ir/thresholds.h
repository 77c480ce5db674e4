// SPDX-License-Identifier: Apache-2.0
// Thresholds as operators carry them: data `t`, ascending rows of integers for each channel or one
// row for all, and optional `flip`, u1 for each row.
//
//   y = sum over i of (x >= t[c, i]) xor flip[c]
#pragma once

#include <cstdint>

#include "src/ir/graph.h"

namespace foldstream {

class OnnxSink;

class Thresholds {
 public:
  // Throws Error unless the node's tensors are legal for so many channels.
  Thresholds(const Node& node, int64_t channels);

  int64_t rows() const { return rows_; }
  int64_t levels() const { return levels_; }
  const int64_t* row(int64_t channel) const { return t_ + (rows_ == 1 ? 0 : channel) * levels_; }
  bool flipped(int64_t channel) const {
    return flip_ != nullptr && flip_[rows_ == 1 ? 0 : channel] != 0;
  }
  int64_t apply(int64_t channel, int64_t x) const;
  Type result(Shape shape) const;

  // Writes the ONNX nodes that do the same along `axis` of a tensor of that shape.
  void to_onnx(OnnxSink& sink, const std::string& input, const Shape& shape, size_t axis) const;

 private:
  const int64_t *t_ = nullptr, *flip_ = nullptr;
  int64_t rows_ = 1, levels_ = 0;
};

}  // namespace foldstream
