// SPDX-License-Identifier: Apache-2.0
// Convolutions of few-bit codes on a processor, and their gradients, as sums of products of bytes.
// The result is exact. Gradients are those of result gradients that were rounded to 8 bits, at
// random and without bias. No dependency on libtorch; every result is the same on every machine and
// for every number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/train/byte_parts.h"

namespace foldstream::train {

// One group, stride 1.
struct ByteShape {
  int64_t channels = 1, height = 1, width = 1;  // of the operand
  int64_t rows = 1;                             // channels of the result
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t padding_height = 0, padding_width = 0;  // on both sides, of code 0

  int64_t padded_height() const { return height + 2 * padding_height; }
  int64_t padded_width() const { return width + 2 * padding_width; }
  int64_t out_height() const { return padded_height() - kernel_height + 1; }
  int64_t out_width() const { return padded_width() - kernel_width + 1; }
  int64_t plane() const { return height * width; }
  int64_t out_plane() const { return out_height() * out_width(); }
  int64_t in() const { return channels * plane(); }
  int64_t out() const { return rows * out_plane(); }
  int64_t kernel() const { return kernel_height * kernel_width; }
  int64_t weights() const { return rows * channels * kernel(); }
};

// Whether bytes hold the codes, and sums fit: of the convolution, and of the gradients of operand
// and weights.
bool bytes_convolve(const ByteShape& shape, const ByteRange& range);
bool bytes_reach_operand(const ByteShape& shape, const ByteRange& range);
bool bytes_reach_weights(const ByteShape& shape, const ByteRange& range, int64_t images);

// Windows of bytes times constant rows: out[row][y][x] = factor * sum of weights and codes.
class Correlation {
 public:
  // Of planes of `height` x `width`, padding included. `weights` are [rows, channels, kernel];
  // `zero` is the byte of code 0, `largest` a bound of weight times byte.
  Correlation(int64_t channels, int64_t height, int64_t width, int64_t rows, int64_t kernel_height,
              int64_t kernel_width, const int8_t* weights, int64_t zero, int64_t largest);

  // Room for the planes of a frame, filled with code 0.
  std::vector<uint8_t> frame() const;
  // Planes [channels, height, width] into a frame, that far from its edge.
  void place(const uint8_t* planes, int64_t padding_height, int64_t padding_width,
             std::vector<uint8_t>& frame) const;
  // out [rows, height - kernel height + 1, ...]; a factor for each row.
  void run(const std::vector<uint8_t>& frame, const float* factors, float* out) const;

  // The same for the windows of several frames side by side, without those that leave a line: for
  // planes that are small.
  int64_t windows() const { return out_height_ * out_width_; }
  std::vector<uint8_t> room(int64_t frames) const;
  void gather(const std::vector<uint8_t>& frame, int64_t index, int64_t frames,
              std::vector<uint8_t>& room) const;
  // out [frames, rows, ...]: the first `some` of the room's.
  void run(const std::vector<uint8_t>& room, int64_t frames, int64_t some, const float* factors,
           float* out) const;

 private:
  int64_t channels_, height_, width_, rows_, out_height_, out_width_, largest_;
  uint8_t zero_;
  int64_t quads_;
  std::vector<int8_t> weights_;
  std::vector<int32_t> offsets_, corrections_;
};

class ByteConvolution {
 public:
  // `weights` [rows, channels, kernel]; a scale for each row.
  ByteConvolution(const ByteShape& shape, const ByteRange& range, const int8_t* weights,
                  const float* weight_scales, float scale);
  // codes [images, channels, height, width], as from to_bytes, to out [images, rows, ...].
  void run(const uint8_t* codes, float* out, int64_t images) const;

 private:
  ByteShape shape_;
  Correlation correlation_;
  std::vector<float> factors_;
};

// Of the magnitudes of gradient [images, rows, out plane], the largest of each plane.
void largest_magnitudes(const ByteShape& shape, const float* gradient, int64_t images,
                        float* largest);

// The gradient of the operand. An image's is rounded in steps of its own.
class ByteOperandGradient {
 public:
  ByteOperandGradient(const ByteShape& shape, const ByteRange& range, const int8_t* weights,
                      const float* weight_scales);
  // gradient [images, rows, out plane] and its largest magnitudes to out [images, channels, plane].
  void run(const float* gradient, const float* largest, float* out, int64_t images) const;

 private:
  // A window of the result's gradient for each place of the operand; at the edge much of it is
  // padding.
  void collect(const float* gradient, const float* largest, float* out, int64_t images) const;
  // Each place of the result's gradient to all places of its window.
  void spread(const float* gradient, const float* largest, float* out, int64_t images) const;
  // An image's gradient in bytes, planes of them; returns their step.
  float round(const float* gradient, const float* largest, std::vector<uint8_t>& planes) const;
  int64_t groups() const { return up(shape_.channels, kByteRows) / kByteRows; }

  ByteShape shape_;
  int64_t weight_;
  std::vector<float> weight_scales_;
  std::optional<Correlation> correlation_;  // to collect
  // To spread: for each group of kByteRows channels and each place of the kernel as many rows,
  // whose columns are the result's channels; and what is to be added to their sums.
  std::vector<int8_t> spread_weights_;
  std::vector<int32_t> corrections_;
};

// The gradient of the weights. A row's is rounded in steps of its own.
class ByteWeightGradient {
 public:
  // `largest` of all `images`.
  ByteWeightGradient(const ByteShape& shape, const ByteRange& range, const float* largest,
                     int64_t images);

  // Sums over some images; any share of them may be added up in any order.
  struct Sums {
    std::vector<int32_t> products;  // [kernel, rows, columns]
    std::vector<int64_t> rows;
    void add(const Sums& other);
  };
  Sums none() const;
  void add(const uint8_t* codes, const float* gradient, int64_t images, Sums& sums) const;
  // out [rows, channels, kernel].
  void finish(const Sums& sums, float scale, float* out) const;

 private:
  int64_t padded_rows() const;
  int64_t columns() const;

  ByteShape shape_;
  ByteRange range_;
  std::vector<float> steps_;
};

}  // namespace foldstream::train
