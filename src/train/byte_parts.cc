// SPDX-License-Identifier: Apache-2.0
#include "src/train/byte_parts.h"

#include <bit>
#include <limits>

namespace foldstream::train {

FOLDSTREAM_VECTORIZED
void to_bytes(const float* FOLDSTREAM_ALONE x, float scale, int64_t lowest,
              uint8_t* FOLDSTREAM_ALONE out, int64_t count) {
  // Codes come as multiples of the scale: the nearest integer is less than half away.
  const float lift = static_cast<float>(-lowest) + 0.5F;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(x[i] / scale + lift));
  }
}

FOLDSTREAM_VECTORIZED
void to_signed_bytes(const float* FOLDSTREAM_ALONE x, float scale, int8_t* FOLDSTREAM_ALONE out,
                     int64_t count) {
  constexpr float kLift = 128.5F;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<int8_t>(static_cast<int32_t>(x[i] / scale + kLift) - 128);
  }
}

FOLDSTREAM_VECTORIZED
void round_at_random(const float* FOLDSTREAM_ALONE x, float factor, int32_t middle,
                     uint8_t* FOLDSTREAM_ALONE out, int64_t count) {
  constexpr float kShare = 1.0F / (1 << 24);
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits = std::bit_cast<uint32_t>(x[i]) ^ (static_cast<uint32_t>(i) * 0x9E3779B1U);
    bits = (bits ^ (bits >> 15)) * 0x85EBCA6BU;
    bits = (bits ^ (bits >> 13)) * 0xC2B2AE35U;
    const float share = static_cast<float>(static_cast<int32_t>((bits ^ (bits >> 16)) >> 8));
    const float lifted = x[i] * factor + (kStepsEachWay + 1) + share * kShare;  // positive
    const int32_t code = static_cast<int32_t>(lifted) - (kStepsEachWay + 1);
    constexpr auto kMost = static_cast<int32_t>(kStepsEachWay);
    out[i] = static_cast<uint8_t>(std::clamp(code, -kMost, kMost) + middle);
  }
}

FOLDSTREAM_VECTORIZED
float largest_magnitude(const float* x, int64_t count) {
  // Of non-negative floats the bits have the same order, and their maximum any order.
  int32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<int32_t>(x[i]) & 0x7FFFFFFF);
  }
  return std::bit_cast<float>(largest);
}

FOLDSTREAM_VECTORIZED
int64_t sum_of(const int8_t* x, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  return sum;
}

FOLDSTREAM_VECTORIZED
void scaled(const int32_t* FOLDSTREAM_ALONE sums, int32_t correction, float factor,
            float* FOLDSTREAM_ALONE out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(sums[i] + correction) * factor;
}

FOLDSTREAM_VECTORIZED
void interleave(const uint8_t* FOLDSTREAM_ALONE a, const uint8_t* FOLDSTREAM_ALONE b,
                const uint8_t* FOLDSTREAM_ALONE c, const uint8_t* FOLDSTREAM_ALONE d,
                uint8_t* FOLDSTREAM_ALONE out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[4 * i] = a[i];
    out[4 * i + 1] = b[i];
    out[4 * i + 2] = c[i];
    out[4 * i + 3] = d[i];
  }
}

float step_for(float largest) {
  // Rounding up must not lead beyond the last step.
  return std::max(largest / static_cast<float>(kStepsEachWay),
                  std::numeric_limits<float>::min() * 256);
}

bool fits(int64_t largest, int64_t products) {
  return largest <= kernel::kLargestProduct &&
         products <= std::numeric_limits<int32_t>::max() / std::max<int64_t>(largest, 1) / 2;
}

ByteSums sums_of(const std::vector<uint8_t>& bytes, const std::vector<int32_t>& offsets,
                 int64_t columns, int64_t largest) {
  ByteSums sums;
  sums.bytes = bytes.data();
  sums.offsets = offsets.data();
  sums.quads = std::ssize(offsets);
  sums.columns = columns;
  sums.largest = largest;
  return sums;
}

std::vector<int32_t> every(int64_t count, int64_t step) {
  std::vector<int32_t> all(count);
  for (int64_t i = 0; i < count; ++i) all[i] = static_cast<int32_t>(i * step);
  return all;
}

}  // namespace foldstream::train
