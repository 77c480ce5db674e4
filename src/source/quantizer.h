// SPDX-License-Identifier: Apache-2.0
// The one meaning of every quantizer that Foldstream reads, as the reference executes it in
// float32:
//
//   t = x / scale + zero          each operation rounds; stages that do nothing are left out
//   t = round_half_even(t)        where `round_first`
//   t = t / divisor + shift
//   level = round(clip(t, low, high))      clip first; or
//   level = number of thresholds <= t
//
// The level is the integer code; what a code is worth is the source operator's matter.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/ir/graph.h"
#include "src/ir/lowering.h"

namespace foldstream {

class OnnxSink;

enum class Rounding { half_even, ceil, floor, up, down, half_up, half_down };

// QONNX's names in any case ("ROUND" and "HALF_EVEN" are one); throws Error with the legal ones.
Rounding parse_rounding(std::string_view name);
std::string_view rounding_name(Rounding rounding);  // "ROUND" ...
float round_to_integer(float x, Rounding rounding);

// The ends of the integers of `bits` bits as the reference computes them in float32.
float lowest_code(int bits, bool is_signed, bool narrow);
float highest_code(int bits, bool is_signed, bool narrow);

struct Coding {
  // One entry, or one a channel. Empty: the stage is left out.
  std::vector<float> scale, zero, divisor, shift;
  bool round_first = false;

  // Clip and round ...
  int bits = 0;  // 0: no clip
  bool is_signed = false, narrow = false;
  Rounding rounding = Rounding::half_even;
  // ... or count thresholds; ascending in each channel.
  std::vector<std::vector<float>> thresholds;

  // The level as the reference has it, in float: a NaN stays one where the reference keeps it.
  float level(float x, int64_t channel) const;
  int64_t code(float x, int64_t channel) const;  // the same as an integer; NaN gives the lowest
  int64_t lowest() const;
  int64_t highest() const;
};

// As an edge node computes it on the host: attributes and data of `quantize`, with vectors along
// `axis` (-1: one entry each).
Value add_quantize(Graph& target, Value x, const std::string& name, const Coding& coding, int axis);
Coding coding_of(const Node& node);  // throws Error on attributes that make no sense
void quantize_to_onnx(const Node& node, OnnxSink& sink);

// The vectors of a quantizer's parameters along one channel axis of a value.
class ChannelVectors {
 public:
  ChannelVectors(const Lowering& lowering, const Shape& shape)
      : lowering_(lowering), shape_(shape) {}
  // One entry or one a channel; nothing, and ok() false, when it doesn't fit the others' axis.
  std::vector<double> take(const Tensor& parameter);
  bool ok() const { return ok_; }
  int axis() const { return axis_; }

 private:
  const Lowering& lowering_;
  Shape shape_;
  int axis_ = -1;
  bool ok_ = true;
};

std::vector<float> to_floats(const std::vector<double>& values);

// Lowers to `coding` worth (code - zero) * scale.
void lower_quantizer(Lowering& lowering, Coding coding, int axis, std::vector<double> scale,
                     std::vector<double> zero);

}  // namespace foldstream
