// SPDX-License-Identifier: Apache-2.0
#include "src/train/byte_linear.h"

#include <bit>
#include <cstring>
#include <limits>

namespace foldstream::train {
namespace {

constexpr int64_t kTogether = 128;  // rows of sums

// Bytes from four columns or rows to the next. An odd number of cache lines: with a power of two
// all of them would lie in the same places of a cache.
int64_t stride_of(int64_t elements) {
  constexpr int64_t kLine = 64;
  return (up(elements * 4, kLine) / kLine | 1) * kLine;
}

// Weights, or codes, without a sign.
FOLDSTREAM_VECTORIZED
void lift(const int8_t* FOLDSTREAM_ALONE codes, int64_t lowest, uint8_t* FOLDSTREAM_ALONE out,
          int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(codes[i] - lowest);
}

// codes [rows, columns] with four rows of all columns after the other; rows that are missing in the
// last four are what `lowest` is lifted to, 0.
std::vector<uint8_t> rows_by_four(const int8_t* codes, int64_t rows, int64_t columns,
                                  int64_t lowest) {
  std::vector<uint8_t> out(up(rows, 4) / 4 * stride_of(columns) + 4 * kByteColumns);
  std::vector<uint8_t> four(4 * columns);
  for (int64_t r = 0; r < rows; r += 4) {
    for (int64_t j = 0; j < 4; ++j) {
      uint8_t* to = four.data() + j * columns;
      if (r + j < rows) {
        lift(codes + (r + j) * columns, lowest, to, columns);
      } else {
        std::memset(to, 0, columns);
      }
    }
    interleave(four.data(), four.data() + columns, four.data() + 2 * columns,
               four.data() + 3 * columns, out.data() + r / 4 * stride_of(columns), columns);
  }
  return out;
}

FOLDSTREAM_VECTORIZED
void scaled_by_column(const int32_t* FOLDSTREAM_ALONE sums, int32_t correction,
                      const float* FOLDSTREAM_ALONE factors, float* FOLDSTREAM_ALONE out,
                      int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(sums[i] + correction) * factors[i];
  }
}

FOLDSTREAM_VECTORIZED
void multiply(const float* FOLDSTREAM_ALONE x, const float* FOLDSTREAM_ALONE factors,
              float* FOLDSTREAM_ALONE out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = x[i] * factors[i];
}

// Of magnitudes as bits, which have the same order; what is no number is above all.
FOLDSTREAM_VECTORIZED
void raise_to_magnitudes(const float* FOLDSTREAM_ALONE x, int32_t* FOLDSTREAM_ALONE largest,
                         int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    largest[i] = std::max(largest[i], std::bit_cast<int32_t>(x[i]) & 0x7FFFFFFF);
  }
}

int32_t correction(int64_t lowest, const int8_t* row, int64_t count) {
  return static_cast<int32_t>(lowest * sum_of(row, count));
}

}  // namespace

bool bytes_multiply(const LinearShape& shape, const ByteRange& range) {
  const int64_t most = std::max(-range.lowest, range.highest);
  return range.lowest >= std::numeric_limits<int8_t>::min() &&
         range.highest <= std::numeric_limits<int8_t>::max() &&
         range.weight <= std::numeric_limits<int8_t>::max() &&
         fits(2 * range.weight * most, shape.columns);
}

bool bytes_reach_operand(const LinearShape& shape, const ByteRange& range) {
  return fits(2 * range.weight * kStepsEachWay, shape.rows);
}

bool bytes_reach_weights(const LinearShape&, const ByteRange& range, int64_t samples) {
  return fits((range.highest - range.lowest) * kStepsEachWay, samples);
}

ByteLinear::ByteLinear(const LinearShape& shape, const ByteRange& range, const int8_t* weights,
                       const float* weight_scales, float scale)
    : shape_(shape),
      range_(range),
      weights_(up(shape.columns, 4) / 4 * stride_of(shape.rows) + 4 * kByteColumns),
      offsets_(every(up(shape.columns, 4) / 4, stride_of(shape.rows))) {
  // Some rows at a time, so that what lies together is written together.
  constexpr int64_t kRows = 16;
  const int64_t columns = up(shape.columns, 4);
  std::vector<uint8_t> some(kRows * columns);
  for (int64_t first = 0; first < shape.rows; first += kRows) {
    const int64_t rows = std::min(kRows, shape.rows - first);
    for (int64_t r = 0; r < rows; ++r) {
      lift(weights + (first + r) * shape.columns, -range.weight, some.data() + r * columns,
           shape.columns);
    }
    for (int64_t c = 0; c < columns; c += 4) {
      uint8_t* to = weights_.data() + c / 4 * stride_of(shape.rows) + first * 4;
      for (int64_t r = 0; r < rows; ++r) std::memcpy(to + r * 4, some.data() + r * columns + c, 4);
    }
  }
  for (int64_t r = 0; r < shape.rows; ++r) factors_.push_back(weight_scales[r] * scale);
}

void ByteLinear::run(const int8_t* codes, float* out, int64_t samples) const {
  const int64_t columns = up(shape_.columns, 4);
  std::vector<int8_t> rows(up(samples, kByteRows) * columns + kByteRoom);
  for (int64_t i = 0; i < samples; ++i) {
    std::memcpy(rows.data() + i * columns, codes + i * shape_.columns, shape_.columns);
  }
  const int64_t most = std::max(-range_.lowest, range_.highest);
  each_row(
      sums_of(weights_, offsets_, shape_.rows, 2 * range_.weight * most), rows, samples,
      [&](int64_t i, const int32_t* sums) {
        scaled_by_column(sums, correction(-range_.weight, rows.data() + i * columns, columns),
                         factors_.data(), out + i * shape_.rows, shape_.rows);
      },
      kTogether);
}

ByteLinearOperandGradient::ByteLinearOperandGradient(const LinearShape& shape,
                                                     const ByteRange& range, const int8_t* weights,
                                                     const float* weight_scales)
    : shape_(shape),
      range_(range),
      weight_scales_(weight_scales, weight_scales + shape.rows),
      weights_(rows_by_four(weights, shape.rows, shape.columns, -range.weight)),
      offsets_(every(up(shape.rows, 4) / 4, stride_of(shape.columns))) {}

void ByteLinearOperandGradient::run(const float* gradient, float* out, int64_t samples) const {
  const int64_t columns = up(shape_.rows, 4);
  std::vector<int8_t> rows(up(samples, kByteRows) * columns + kByteRoom);
  std::vector<float> steps(samples), own(shape_.rows);
  for (int64_t i = 0; i < samples; ++i) {
    multiply(gradient + i * shape_.rows, weight_scales_.data(), own.data(), shape_.rows);
    steps[i] = step_for(largest_magnitude(own.data(), shape_.rows));
    round_at_random(own.data(), 1 / steps[i], 0,
                    reinterpret_cast<uint8_t*>(rows.data() + i * columns), shape_.rows);
  }
  each_row(
      sums_of(weights_, offsets_, shape_.columns, 2 * range_.weight * kStepsEachWay), rows, samples,
      [&](int64_t i, const int32_t* sums) {
        scaled(sums, correction(-range_.weight, rows.data() + i * columns, columns), steps[i],
               out + i * shape_.columns, shape_.columns);
      },
      kTogether);
}

ByteLinearWeightGradient::ByteLinearWeightGradient(const LinearShape& shape, const ByteRange& range,
                                                   const int8_t* codes, const float* gradient,
                                                   int64_t samples, float scale)
    : shape_(shape),
      range_(range),
      scale_(scale),
      codes_(rows_by_four(codes, samples, shape.columns, range.lowest)),
      offsets_(every(up(samples, 4) / 4, stride_of(shape.columns))),
      rows_(up(shape.rows, kByteRows) * up(samples, 4) + kByteRoom),
      steps_(shape.rows) {
  std::vector<int32_t> largest(shape.rows);
  for (int64_t i = 0; i < samples; ++i) {
    raise_to_magnitudes(gradient + i * shape.rows, largest.data(), shape.rows);
  }
  std::vector<float> inverse(shape.rows), own(shape.rows);
  for (int64_t r = 0; r < shape.rows; ++r) {
    steps_[r] = step_for(std::bit_cast<float>(largest[r]));
    inverse[r] = 1 / steps_[r];
  }
  std::vector<uint8_t> rounded(shape.rows);
  for (int64_t i = 0; i < samples; ++i) {
    multiply(gradient + i * shape.rows, inverse.data(), own.data(), shape.rows);
    round_at_random(own.data(), 1, 0, rounded.data(), shape.rows);
    for (int64_t r = 0; r < shape.rows; ++r) {
      rows_[r * up(samples, 4) + i] = static_cast<int8_t>(rounded[r]);
    }
  }
}

void ByteLinearWeightGradient::run(float* out, int64_t begin, int64_t end) const {
  const int64_t samples = 4 * std::ssize(offsets_);
  const std::span rows(rows_.begin() + begin * samples, rows_.end());
  each_row(
      sums_of(codes_, offsets_, shape_.columns, (range_.highest - range_.lowest) * kStepsEachWay),
      rows, end - begin,
      [&](int64_t i, const int32_t* sums) {
        const int64_t r = begin + i;
        scaled(sums, correction(range_.lowest, rows.data() + i * samples, samples),
               steps_[r] * scale_, out + r * shape_.columns, shape_.columns);
      },
      kTogether);
}

}  // namespace foldstream::train
