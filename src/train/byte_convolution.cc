// SPDX-License-Identifier: Apache-2.0
#include "src/train/byte_convolution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "src/train/byte_parts.h"

namespace foldstream::train {
namespace {

constexpr int64_t kColumnsAtOnce = 192;  // of several images with small planes, at least
constexpr int64_t kSmallPlane = 32;      // elements
constexpr int64_t kQuadsAtOnce = 192;    // of a weight gradient, at least, where there are as many

// Images of so many elements each that give that many together.
int64_t images_for(int64_t wanted, int64_t elements, int64_t images) {
  return std::clamp<int64_t>((wanted + elements - 1) / elements, 1, std::max<int64_t>(images, 1));
}

inline void add_up(const int32_t* FOLDSTREAM_ALONE sums, int32_t correction,
                   int32_t* FOLDSTREAM_ALONE out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] += sums[i] + correction;
}

// Channels c to c + 3. One too many repeats the last; its weights are zeros.
std::array<const uint8_t*, 4> four_planes(const uint8_t* planes, int64_t c, int64_t channels,
                                          int64_t plane) {
  std::array<const uint8_t*, 4> four;
  for (int64_t j = 0; j < 4; ++j) four[j] = planes + std::min(c + j, channels - 1) * plane;
  return four;
}

// [rows, channels, kernel] turned to [channels, rows, kernel turned round].
std::vector<int8_t> turned(const ByteShape& shape, const int8_t* weights) {
  std::vector<int8_t> out(shape.weights());
  const int64_t kernel = shape.kernel();
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int8_t* from = weights + (r * shape.channels + c) * kernel;
      int8_t* to = out.data() + (c * shape.rows + r) * kernel;
      std::reverse_copy(from, from + kernel, to);
    }
  }
  return out;
}

}  // namespace

bool bytes_convolve(const ByteShape& shape, const ByteRange& range) {
  const int64_t most = range.highest - range.lowest;
  // Addresses within an image's planes are of 32 bits.
  constexpr int64_t kPlanes = int64_t{1} << 28;
  const int64_t planes = (shape.padded_height() + shape.kernel_height) *
                         (shape.padded_width() + shape.kernel_width) *
                         (std::max(shape.channels, shape.rows) + 3);
  return range.lowest <= 0 && range.highest >= 0 && most <= std::numeric_limits<uint8_t>::max() &&
         range.weight <= std::numeric_limits<int8_t>::max() && planes <= kPlanes &&
         fits(most * range.weight, shape.channels * shape.kernel());
}

bool bytes_reach_operand(const ByteShape& shape, const ByteRange& range) {
  return shape.padding_height < shape.kernel_height && shape.padding_width < shape.kernel_width &&
         fits((kMiddle + kStepsEachWay) * range.weight, shape.rows * shape.kernel());
}

bool bytes_reach_weights(const ByteShape& shape, const ByteRange& range, int64_t images) {
  return fits((range.highest - range.lowest) * kStepsEachWay, images * shape.out_plane());
}

Correlation::Correlation(int64_t channels, int64_t height, int64_t width, int64_t rows,
                         int64_t kernel_height, int64_t kernel_width, const int8_t* weights,
                         int64_t zero, int64_t largest)
    : channels_(channels),
      height_(height),
      width_(width),
      rows_(rows),
      out_height_(height - kernel_height + 1),
      out_width_(width - kernel_width + 1),
      largest_(largest),
      zero_(static_cast<uint8_t>(zero)) {
  const int64_t fours = up(channels, 4) / 4, kernel = kernel_height * kernel_width;
  quads_ = kernel * fours;
  const int64_t padded_rows = up(rows, kByteRows);
  for (int64_t y = 0; y < kernel_height; ++y) {
    for (int64_t x = 0; x < kernel_width; ++x) {
      for (int64_t four = 0; four < fours; ++four) {
        offsets_.push_back(static_cast<int32_t>(((four * height + y) * width + x) * 4));
      }
    }
  }
  weights_.resize(padded_rows * quads_ * 4 + kByteRoom);
  corrections_.resize(padded_rows);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int8_t* from = weights + (r * channels + c) * kernel;
      int8_t* to = weights_.data() + r * quads_ * 4 + c;
      for (int64_t k = 0; k < kernel; ++k) to[k * fours * 4] = from[k], sum += from[k];
    }
    corrections_[r] = static_cast<int32_t>(-zero * sum);
  }
}

std::vector<uint8_t> Correlation::frame() const {
  const int64_t fours = up(channels_, 4);
  return std::vector<uint8_t>(fours * height_ * width_ + 4 * kByteColumns, zero_);
}

void Correlation::place(const uint8_t* planes, int64_t padding_height, int64_t padding_width,
                        std::vector<uint8_t>& frame) const {
  const int64_t height = height_ - 2 * padding_height, width = width_ - 2 * padding_width;
  for (int64_t c = 0; c < channels_; c += 4) {
    const std::array<const uint8_t*, 4> from = four_planes(planes, c, channels_, height * width);
    uint8_t* to = frame.data() + ((c / 4 * height_ + padding_height) * width_ + padding_width) * 4;
    const int64_t lines = padding_width == 0 ? 1 : height;
    const int64_t line = height * width / std::max<int64_t>(lines, 1);
    for (int64_t y = 0; y < lines; ++y) {
      interleave(from[0] + y * line, from[1] + y * line, from[2] + y * line, from[3] + y * line,
                 to + y * width_ * 4, line);
    }
  }
}

void Correlation::run(const std::vector<uint8_t>& frame, const float* factors, float* out) const {
  // Windows along the whole width of the planes: those that leave a line aren't taken.
  const int64_t columns = (out_height_ - 1) * width_ + out_width_;
  each_row(sums_of(frame, offsets_, columns, largest_), weights_, rows_,
           [&](int64_t r, const int32_t* from) {
             for (int64_t y = 0; y < out_height_; ++y) {
               scaled(from + y * width_, corrections_[r], factors[r],
                      out + r * windows() + y * out_width_, out_width_);
             }
           });
}

std::vector<uint8_t> Correlation::room(int64_t frames) const {
  return std::vector<uint8_t>(quads_ * frames * windows() * 4 + 4 * kByteColumns);
}

void Correlation::gather(const std::vector<uint8_t>& frame, int64_t index, int64_t frames,
                         std::vector<uint8_t>& room) const {
  for (int64_t q = 0; q < quads_; ++q) {
    const uint8_t* from = frame.data() + offsets_[q];
    uint8_t* to = room.data() + (q * frames + index) * windows() * 4;
    for (int64_t y = 0; y < out_height_; ++y) {
      std::memcpy(to + y * out_width_ * 4, from + y * width_ * 4, out_width_ * 4);
    }
  }
}

void Correlation::run(const std::vector<uint8_t>& room, int64_t frames, int64_t some,
                      const float* factors, float* out) const {
  const std::vector<int32_t> offsets = every(quads_, frames * windows() * 4);
  each_row(sums_of(room, offsets, some * windows(), largest_), weights_, rows_,
           [&](int64_t r, const int32_t* from) {
             for (int64_t i = 0; i < some; ++i) {
               scaled(from + i * windows(), corrections_[r], factors[r],
                      out + (i * rows_ + r) * windows(), windows());
             }
           });
}

ByteConvolution::ByteConvolution(const ByteShape& shape, const ByteRange& range,
                                 const int8_t* weights, const float* weight_scales, float scale)
    : shape_(shape),
      correlation_(shape.channels, shape.padded_height(), shape.padded_width(), shape.rows,
                   shape.kernel_height, shape.kernel_width, weights, -range.lowest,
                   (range.highest - range.lowest) * range.weight) {
  for (int64_t r = 0; r < shape.rows; ++r) factors_.push_back(weight_scales[r] * scale);
}

void ByteConvolution::run(const uint8_t* codes, float* out, int64_t images) const {
  std::vector<uint8_t> frame = correlation_.frame();
  const auto place = [&](int64_t i) {
    correlation_.place(codes + i * shape_.in(), shape_.padding_height, shape_.padding_width, frame);
  };
  if (shape_.out_plane() >= kSmallPlane) {
    for (int64_t i = 0; i < images; ++i) {
      place(i);
      correlation_.run(frame, factors_.data(), out + i * shape_.out());
    }
    return;
  }
  const int64_t together = images_for(kColumnsAtOnce, shape_.out_plane(), images);
  std::vector<uint8_t> room = correlation_.room(together);
  for (int64_t first = 0; first < images; first += together) {
    const int64_t some = std::min(together, images - first);
    for (int64_t i = 0; i < some; ++i) {
      place(first + i);
      correlation_.gather(frame, i, together, room);
    }
    correlation_.run(room, together, some, factors_.data(), out + first * shape_.out());
  }
}

void largest_magnitudes(const ByteShape& shape, const float* gradient, int64_t images,
                        float* largest) {
  const int64_t plane = shape.out_plane();
  for (int64_t i = 0; i < images * shape.rows; ++i) {
    largest[i] = largest_magnitude(gradient + i * plane, plane);
  }
}

ByteOperandGradient::ByteOperandGradient(const ByteShape& shape, const ByteRange& range,
                                         const int8_t* weights, const float* weight_scales)
    : shape_(shape),
      weight_(range.weight),
      weight_scales_(weight_scales, weight_scales + shape.rows) {
  // Spreading computes what is needed, but has more to add up: worth it beyond that share.
  const int64_t windows = (shape.height - 1) * (shape.width + shape.kernel_width - 1) + shape.width;
  if (5 * windows <= 7 * shape.out_plane()) {
    correlation_.emplace(shape.rows, shape.height + shape.kernel_height - 1,
                         shape.width + shape.kernel_width - 1, shape.channels, shape.kernel_height,
                         shape.kernel_width, turned(shape, weights).data(), kMiddle,
                         (kMiddle + kStepsEachWay) * range.weight);
    return;
  }
  const int64_t kernel = shape.kernel(), columns = up(shape.rows, 4);
  spread_weights_.resize(groups() * kernel * kByteRows * columns + kByteRoom);
  corrections_.resize(groups() * kernel * kByteRows);
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      for (int64_t k = 0; k < kernel; ++k) {
        const int8_t weight = weights[(r * shape.channels + c) * kernel + k];
        const int64_t row = (c / kByteRows * kernel + k) * kByteRows + c % kByteRows;
        spread_weights_[row * columns + r] = weight;
        corrections_[row] -= static_cast<int32_t>(kMiddle * weight);
      }
    }
  }
}

void ByteOperandGradient::run(const float* gradient, const float* largest, float* out,
                              int64_t images) const {
  correlation_ ? collect(gradient, largest, out, images) : spread(gradient, largest, out, images);
}

float ByteOperandGradient::round(const float* gradient, const float* largest,
                                 std::vector<uint8_t>& planes) const {
  const int64_t plane = shape_.out_plane();
  float most = 0;
  for (int64_t r = 0; r < shape_.rows; ++r) {
    most = std::max(most, largest[r] * std::fabs(weight_scales_[r]));
  }
  const float step = step_for(most);
  for (int64_t r = 0; r < shape_.rows; ++r) {
    round_at_random(gradient + r * plane, weight_scales_[r] / step, kMiddle,
                    planes.data() + r * plane, plane);
  }
  return step;
}

void ByteOperandGradient::collect(const float* gradient, const float* largest, float* out,
                                  int64_t images) const {
  std::vector<uint8_t> frame = correlation_->frame(), planes(shape_.out());
  std::vector<float> factors(shape_.channels);
  for (int64_t i = 0; i < images; ++i) {
    const float step = round(gradient + i * shape_.out(), largest + i * shape_.rows, planes);
    correlation_->place(planes.data(), shape_.kernel_height - 1 - shape_.padding_height,
                        shape_.kernel_width - 1 - shape_.padding_width, frame);
    std::ranges::fill(factors, step);
    correlation_->run(frame, factors.data(), out + i * shape_.in());
  }
}

void ByteOperandGradient::spread(const float* gradient, const float* largest, float* out,
                                 int64_t images) const {
  const int64_t plane = shape_.out_plane(), quads = up(shape_.rows, 4) / 4;
  const int64_t height = shape_.padded_height(), width = shape_.padded_width();
  const int64_t together = images_for(kColumnsAtOnce, plane, images);
  std::vector<uint8_t> planes(shape_.out());
  std::vector<uint8_t> bytes(quads * together * plane * 4 + 4 * kByteColumns);
  std::vector<float> steps(together);
  const std::vector<int32_t> offsets = every(quads, together * plane * 4);
  std::vector<int32_t> all(kByteRows * together * height * width);
  for (int64_t first = 0; first < images; first += together) {
    const int64_t some = std::min(together, images - first);
    for (int64_t i = 0; i < some; ++i) {
      steps[i] =
          round(gradient + (first + i) * shape_.out(), largest + (first + i) * shape_.rows, planes);
      for (int64_t q = 0; q < quads; ++q) {
        const std::array<const uint8_t*, 4> from =
            four_planes(planes.data(), 4 * q, shape_.rows, plane);
        interleave(from[0], from[1], from[2], from[3],
                   bytes.data() + (q * together + i) * plane * 4, plane);
      }
    }
    const ByteSums sums =
        sums_of(bytes, offsets, some * plane, (kMiddle + kStepsEachWay) * weight_);
    for (int64_t group = 0; group < groups(); ++group) {
      const int64_t channel = group * kByteRows;
      const int64_t rows = std::min(kByteRows, shape_.channels - channel);
      std::ranges::fill(all, 0);
      for (int64_t k = 0; k < shape_.kernel(); ++k) {
        const int64_t row = (group * shape_.kernel() + k) * kByteRows;
        const int64_t at = k / shape_.kernel_width * width + k % shape_.kernel_width;
        const std::span weights(spread_weights_.begin() + row * quads * 4, kByteRows * quads * 4);
        each_row(sums, weights, rows, [&](int64_t r, const int32_t* from) {
          for (int64_t i = 0; i < some; ++i) {
            int32_t* to = all.data() + (r * together + i) * height * width + at;
            for (int64_t y = 0; y < shape_.out_height(); ++y) {
              add_up(from + i * plane + y * shape_.out_width(), corrections_[row + r],
                     to + y * width, shape_.out_width());
            }
          }
        });
      }
      for (int64_t c = 0; c < rows; ++c) {
        for (int64_t i = 0; i < some; ++i) {
          const int32_t* from = all.data() +
                                ((c * together + i) * height + shape_.padding_height) * width +
                                shape_.padding_width;
          float* to = out + (first + i) * shape_.in() + (channel + c) * shape_.plane();
          for (int64_t y = 0; y < shape_.height; ++y) {
            scaled(from + y * width, 0, steps[i], to + y * shape_.width, shape_.width);
          }
        }
      }
    }
  }
}

ByteWeightGradient::ByteWeightGradient(const ByteShape& shape, const ByteRange& range,
                                       const float* largest, int64_t images)
    : shape_(shape), range_(range), steps_(shape.rows) {
  for (int64_t i = 0; i < images * shape.rows; ++i) {
    float& most = steps_[i % shape.rows];
    most = std::max(most, largest[i]);
  }
  for (float& step : steps_) step = step_for(step);
}

int64_t ByteWeightGradient::padded_rows() const { return up(shape_.rows, kByteRows); }
int64_t ByteWeightGradient::columns() const { return shape_.channels + kByteColumns; }

ByteWeightGradient::Sums ByteWeightGradient::none() const {
  Sums sums;
  sums.products.resize(shape_.kernel() * padded_rows() * columns());
  sums.rows.resize(shape_.rows);
  return sums;
}

void ByteWeightGradient::Sums::add(const Sums& other) {
  for (size_t i = 0; i < products.size(); ++i) products[i] += other.products[i];
  for (size_t i = 0; i < rows.size(); ++i) rows[i] += other.rows[i];
}

void ByteWeightGradient::add(const uint8_t* codes, const float* gradient, int64_t images,
                             Sums& sums) const {
  const int64_t height = shape_.padded_height(), width = shape_.padded_width();
  const int64_t out_height = shape_.out_height(), out_width = shape_.out_width();
  const int64_t out_plane = shape_.out_plane(), channels = shape_.channels;
  const int64_t line = up(out_width, 4) / 4;  // quads
  const int64_t together = images_for(kQuadsAtOnce, out_height * line, images);
  const int64_t most_quads = together * out_height * line;
  std::vector<uint8_t> rounded(out_plane);
  // What is beyond a line's end is zero here, so that the codes there don't matter.
  std::vector<int8_t> rows(padded_rows() * most_quads * 4 + kByteRoom);
  const uint8_t zero = static_cast<uint8_t>(-range_.lowest);
  std::vector<uint8_t> planes(together * channels * height * width + 4, zero);
  std::vector<uint8_t> quads(together * height * line * channels * 4 + 4 * kByteColumns);
  std::vector<int32_t> offsets;
  for (int64_t i = 0; i < together; ++i) {
    for (int64_t y = 0; y < out_height; ++y) {
      for (int64_t j = 0; j < line; ++j) {
        offsets.push_back(static_cast<int32_t>(((i * height + y) * line + j) * channels * 4));
      }
    }
  }
  ByteSums products;
  products.rows = rows.data();
  products.count = padded_rows();
  products.row_bytes = most_quads * 4;
  products.offsets = offsets.data();
  products.columns = channels;
  products.largest = (range_.highest - range_.lowest) * kStepsEachWay;
  products.out_stride = columns();
  products.add = true;
  for (int64_t first = 0; first < images; first += together) {
    const int64_t some = std::min(together, images - first);
    products.quads = some * out_height * line;
    for (int64_t i = 0; i < some; ++i) {
      for (int64_t r = 0; r < shape_.rows; ++r) {
        round_at_random(gradient + (first + i) * shape_.out() + r * out_plane, 1 / steps_[r], 0,
                        rounded.data(), out_plane);
        const auto* from = reinterpret_cast<const int8_t*>(rounded.data());
        sums.rows[r] += sum_of(from, out_plane);
        int8_t* to = rows.data() + r * products.row_bytes + i * out_height * line * 4;
        for (int64_t y = 0; y < out_height; ++y) {
          std::memcpy(to + y * line * 4, from + y * out_width, out_width);
        }
      }
      for (int64_t c = 0; c < channels; ++c) {
        const uint8_t* from = codes + (first + i) * shape_.in() + c * shape_.plane();
        uint8_t* to = planes.data() +
                      ((i * channels + c) * height + shape_.padding_height) * width +
                      shape_.padding_width;
        for (int64_t y = 0; y < shape_.height; ++y) {
          std::memcpy(to + y * width, from + y * shape_.width, shape_.width);
        }
      }
    }
    for (int64_t x = 0; x < shape_.kernel_width; ++x) {
      uint8_t* to = quads.data();
      for (int64_t i = 0; i < some; ++i) {
        for (int64_t y = 0; y < height; ++y) {
          const uint8_t* from = planes.data() + (i * channels * height + y) * width + x;
          for (int64_t j = 0; j < line; ++j) {
            for (int64_t c = 0; c < channels; ++c, to += 4) {
              std::memcpy(to, from + c * height * width + 4 * j, 4);
            }
          }
        }
      }
      for (int64_t y = 0; y < shape_.kernel_height; ++y) {
        products.bytes = quads.data() + y * line * channels * 4;
        products.out = sums.products.data() +
                       (y * shape_.kernel_width + x) * padded_rows() * products.out_stride;
        byte_sums(products);
      }
    }
  }
}

void ByteWeightGradient::finish(const Sums& sums, float scale, float* out) const {
  for (int64_t r = 0; r < shape_.rows; ++r) {
    const int64_t correction = range_.lowest * sums.rows[r];
    for (int64_t c = 0; c < shape_.channels; ++c) {
      for (int64_t k = 0; k < shape_.kernel(); ++k) {
        const int64_t sum = sums.products[(k * padded_rows() + r) * columns() + c] + correction;
        *out++ = static_cast<float>(sum) * (steps_[r] * scale);
      }
    }
  }
}

}  // namespace foldstream::train
