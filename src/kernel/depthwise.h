// SPDX-License-Identifier: Apache-2.0
// Each channel's window times weights of its own: operands stored as bytes, channels side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "src/kernel/aligned.h"
#include "src/kernel/finish.h"

namespace foldstream::kernel {

struct DepthwiseSpec {
  const Tensor* w = nullptr;         // integers [channels, taps]
  Storage in;                        // bytes
  Range range;                       // of the operand
  std::vector<int64_t> tap_offsets;  // in bytes, from the vector's address
  const Thresholds* thresholds = nullptr;
  Storage out;
};

struct DepthwiseLayer {
  int64_t channels = 0, taps = 0;
  std::vector<int64_t> tap_offsets;
  // For each block of channels, tap after tap, one weight a channel: of 16 bits where no sum of
  // them leaves that, else of 32.
  bool narrow = false;
  AlignedVector<int16_t> narrow_weights;
  AlignedVector<int32_t> wide_weights;
  Finish<int32_t> finish;
};

struct DepthwiseRoutine {
  using Run = void (*)(const DepthwiseLayer& layer, const uint8_t* const* vectors,
                       uint8_t* const* outs, int64_t count);
  int64_t lanes = 1;            // of a finished block, and of one of 32-bit weights
  int64_t narrow_channels = 1;  // of a block of 16-bit weights
  Run narrow = nullptr, wide = nullptr;
};

class Depthwise {
 public:
  // Null when weights, operand or result don't suit.
  static std::unique_ptr<Depthwise> make(const DepthwiseSpec& spec);
  void run(const std::byte* const* vectors, std::byte* const* outs, int64_t count) const {
    run_(layer_, reinterpret_cast<const uint8_t* const*>(vectors),
         reinterpret_cast<uint8_t* const*>(outs), count);
  }

 private:
  DepthwiseLayer layer_;
  DepthwiseRoutine::Run run_ = nullptr;
};

}  // namespace foldstream::kernel
