// SPDX-License-Identifier: Apache-2.0
// Products of bytes against sums written out: of the kernels, of layers and of their gradients.
#include "src/train/byte_layers.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "src/kernel/byte_sums.h"
#include "src/kernel/level.h"
#include "src/train/samples.h"

namespace foldstream::train {
namespace {

struct Draw {
  ByteShape shape;
  ByteRange range;
  int64_t images = 1;
  std::vector<int64_t> codes, weights;
  std::vector<float> scales;  // of the weights

  int64_t at(int64_t image, int64_t channel, int64_t y, int64_t x) const {
    y -= shape.padding_height, x -= shape.padding_width;
    if (y < 0 || x < 0 || y >= shape.height || x >= shape.width) return 0;
    return codes[((image * shape.channels + channel) * shape.height + y) * shape.width + x];
  }
  std::vector<uint8_t> bytes() const {
    std::vector<uint8_t> all;
    for (const int64_t code : codes) all.push_back(static_cast<uint8_t>(code - range.lowest));
    return all;
  }
  std::vector<int8_t> weight_bytes() const { return {weights.begin(), weights.end()}; }
};

int64_t integer(Random& random, int64_t from, int64_t to) {
  return from + random.below(to - from + 1);
}

Draw draw(Random& random) {
  Draw d;
  ByteShape& s = d.shape;
  s.channels = integer(random, 1, 13);
  s.rows = integer(random, 1, 11);
  s.kernel_height = integer(random, 1, 3);
  s.kernel_width = integer(random, 1, 4);
  s.padding_height = integer(random, 0, s.kernel_height - 1);
  s.padding_width = integer(random, 0, s.kernel_width - 1);
  s.height = integer(random, s.kernel_height, 9);
  s.width = integer(random, s.kernel_width, 19);
  d.images = integer(random, 1, 5);
  const std::vector<ByteRange> ranges = {
      {-1, 1, 1}, {0, 3, 1}, {-7, 7, 7}, {0, 15, 3}, {-64, 63, 1}};
  d.range = ranges[random.below(std::ssize(ranges))];
  for (int64_t i = 0; i < d.images * s.in(); ++i) {
    d.codes.push_back(integer(random, d.range.lowest, d.range.highest));
  }
  for (int64_t i = 0; i < s.weights(); ++i) {
    d.weights.push_back(integer(random, -d.range.weight, d.range.weight));
  }
  for (int64_t r = 0; r < s.rows; ++r)
    d.scales.push_back(std::ldexp(1.0F, static_cast<int>(r % 3)));
  return d;
}

// f(image, row, place of the result, channel, place of the kernel, code, weight) for every product.
template <class F>
void each_product(const Draw& d, const F& f) {
  const ByteShape& s = d.shape;
  for (int64_t i = 0; i < d.images; ++i) {
    for (int64_t r = 0; r < s.rows; ++r) {
      for (int64_t p = 0; p < s.out_plane(); ++p) {
        for (int64_t c = 0; c < s.channels; ++c) {
          for (int64_t k = 0; k < s.kernel(); ++k) {
            f(i, r, p, c, k, p / s.out_width() + k / s.kernel_width,
              p % s.out_width() + k % s.kernel_width);
          }
        }
      }
    }
  }
}

TEST(ByteSumsTest, EqualSumsWrittenOutAtEveryLevel) {
  Random random(1, 2);
  for (int round = 0; round < 60; ++round) {
    const int64_t quads = integer(random, 1, 90), columns = integer(random, 1, 70);
    // Half of the rounds have the most that two sums in int16 hold, from the bounds alone.
    const int64_t most = round % 2 == 0 ? 1 : 63, bytes_most = round % 2 == 0 ? 2 : 255;
    kernel::ByteSums sums;
    sums.count = kernel::kByteRows * integer(random, 1, 5);
    sums.row_bytes = quads * 4 + 8;
    sums.quads = quads;
    sums.columns = columns;
    sums.largest = most * bytes_most;
    sums.out_stride = columns + kernel::kByteColumns;
    sums.add = round % 3 == 0;
    std::vector<int8_t> rows(sums.count * sums.row_bytes + kernel::kByteRoom);
    for (int8_t& value : rows) {
      value = static_cast<int8_t>(round % 4 < 2 ? integer(random, -most, most) : most);
    }
    std::vector<uint8_t> bytes(2000 + 4 * (columns + kernel::kByteColumns));
    for (uint8_t& value : bytes) {
      value = static_cast<uint8_t>(round % 4 < 2 ? integer(random, 0, bytes_most) : bytes_most);
    }
    std::vector<int32_t> offsets(quads);
    // Anywhere, or as far from one another, which some levels read otherwise.
    const int64_t step = round % 5 < 2 ? integer(random, 1, 22) : 0;
    for (int64_t q = 0; q < quads; ++q) {
      offsets[q] = static_cast<int32_t>(step > 0 ? q * step : integer(random, 0, 1999));
    }
    std::vector<int32_t> before(sums.count * sums.out_stride);
    for (int32_t& value : before) value = static_cast<int32_t>(integer(random, -9999, 9999));
    sums.rows = rows.data();
    sums.bytes = bytes.data();
    sums.offsets = offsets.data();
    for (const std::string& level : kernel::levels()) {
      std::vector<int32_t> out = before;
      sums.out = out.data();
      kernel::at_level(level, [&] { kernel::byte_sums(sums); });
      for (int64_t r = 0; r < sums.count; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          int64_t sum = sums.add ? before[r * sums.out_stride + c] : 0;
          for (int64_t q = 0; q < quads; ++q) {
            for (int64_t j = 0; j < 4; ++j) {
              sum += rows[r * sums.row_bytes + 4 * q + j] * bytes[offsets[q] + 4 * c + j];
            }
          }
          ASSERT_EQ(out[r * sums.out_stride + c], sum) << level << " row " << r << " column " << c;
        }
      }
    }
  }
}

TEST(ByteConvolutionTest, EqualsSumsWrittenOut) {
  Random random(3, 4);
  for (int round = 0; round < 150; ++round) {
    const Draw d = draw(random);
    ASSERT_TRUE(bytes_convolve(d.shape, d.range));
    std::vector<int64_t> sums(d.images * d.shape.out());
    each_product(
        d, [&](int64_t i, int64_t r, int64_t p, int64_t c, int64_t k, int64_t y, int64_t x) {
          sums[(i * d.shape.rows + r) * d.shape.out_plane() + p] +=
              d.at(i, c, y, x) * d.weights[(r * d.shape.channels + c) * d.shape.kernel() + k];
        });
    const std::vector<int8_t> weights = d.weight_bytes();
    std::vector<float> out(sums.size());
    ByteConvolution(d.shape, d.range, weights.data(), d.scales.data(), 0.25F)
        .run(d.bytes().data(), out.data(), d.images);
    for (size_t i = 0; i < sums.size(); ++i) {
      const int64_t row = static_cast<int64_t>(i) / d.shape.out_plane() % d.shape.rows;
      ASSERT_EQ(out[i], static_cast<float>(sums[i]) * d.scales[row] * 0.25F) << i;
    }
  }
}

struct Gradients {
  std::vector<float> x, weights;
};

Gradients by_bytes(const Draw& d, const std::vector<float>& gradient) {
  const ByteShape& s = d.shape;
  std::vector<float> largest(d.images * s.rows);
  largest_magnitudes(s, gradient.data(), d.images, largest.data());
  Gradients out{std::vector<float>(d.images * s.in()), std::vector<float>(s.weights())};
  const std::vector<int8_t> weights = d.weight_bytes();
  ByteOperandGradient(s, d.range, weights.data(), d.scales.data())
      .run(gradient.data(), largest.data(), out.x.data(), d.images);
  const ByteWeightGradient of(s, d.range, largest.data(), d.images);
  // The last images first, and by themselves.
  ByteWeightGradient::Sums sums = of.none(), last = of.none();
  const int64_t some = d.images / 2;
  const std::vector<uint8_t> codes = d.bytes();
  of.add(codes.data() + some * s.in(), gradient.data() + some * s.out(), d.images - some, last);
  of.add(codes.data(), gradient.data(), some, sums);
  last.add(sums);
  of.finish(last, 0.5F, out.weights.data());
  return out;
}

struct WideGradients {
  std::vector<double> x, weights;
  std::vector<double> x_squares, weight_squares;  // of the factors
};

WideGradients written_out(const Draw& d, const std::vector<float>& gradient) {
  const ByteShape& s = d.shape;
  WideGradients out;
  for (auto* of : {&out.x, &out.x_squares}) of->resize(d.images * s.in());
  for (auto* of : {&out.weights, &out.weight_squares}) of->resize(s.weights());
  each_product(d, [&](int64_t i, int64_t r, int64_t p, int64_t c, int64_t k, int64_t y, int64_t x) {
    const double g = gradient[(i * s.rows + r) * s.out_plane() + p];
    const int64_t weight = (r * s.channels + c) * s.kernel() + k;
    const double code = 0.5 * static_cast<double>(d.at(i, c, y, x));
    out.weights[weight] += g * code;
    out.weight_squares[weight] += code * code;
    y -= s.padding_height, x -= s.padding_width;
    if (y < 0 || x < 0 || y >= s.height || x >= s.width) return;
    const int64_t place = ((i * s.channels + c) * s.height + y) * s.width + x;
    const double factor = static_cast<double>(d.weights[weight]) * d.scales[r];
    out.x[place] += g * factor;
    out.x_squares[place] += static_cast<double>(d.weights[weight] * d.weights[weight]);
  });
  return out;
}

TEST(ByteGradientTest, WholeStepsAreExact) {
  Random random(5, 6);
  for (int round = 0; round < 150; ++round) {
    Draw d = draw(random);
    std::ranges::fill(d.scales, 2.0F);
    ASSERT_TRUE(bytes_reach_operand(d.shape, d.range));
    ASSERT_TRUE(bytes_reach_weights(d.shape, d.range, d.images));
    // A number of steps each; the most occurs in each plane, so that steps are known.
    std::vector<float> gradient(d.images * d.shape.out());
    for (size_t i = 0; i < gradient.size(); ++i) {
      const bool most = static_cast<int64_t>(i) % d.shape.out_plane() == 0;
      gradient[i] = static_cast<float>(most ? -127 : integer(random, -127, 127)) / 1024;
    }
    const Gradients found = by_bytes(d, gradient);
    const WideGradients wanted = written_out(d, gradient);
    for (size_t i = 0; i < found.x.size(); ++i) ASSERT_NEAR(found.x[i], wanted.x[i], 1e-4) << i;
    for (size_t i = 0; i < found.weights.size(); ++i) {
      ASSERT_NEAR(found.weights[i], wanted.weights[i], 1e-4) << i;
    }
  }
}

// The error of a rounding has a deviation of at most half a step, that of a sum of many, each with
// a factor, accordingly.
void expect_near(const std::vector<float>& found, const std::vector<double>& wanted,
                 const std::vector<double>& squares, double step) {
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_LE(std::fabs(found[i] - wanted[i]), 3 * step * std::sqrt(squares[i]) + 1e-5) << i;
  }
}

TEST(ByteGradientTest, RoundingErrorsDontAddUp) {
  Random random(7, 8);
  for (int round = 0; round < 100; ++round) {
    Draw d = draw(random);
    std::ranges::fill(d.scales, 1.0F);
    std::vector<float> gradient(d.images * d.shape.out());
    for (float& value : gradient) value = static_cast<float>(random.between(-1, 1));
    const Gradients found = by_bytes(d, gradient);
    const WideGradients wanted = written_out(d, gradient);
    expect_near(found.x, wanted.x, wanted.x_squares, 1.0 / 127);
    expect_near(found.weights, wanted.weights, wanted.weight_squares, 1.0 / 127);
  }
}

// The gradient of one weight of 1 is the rounded gradient: both neighbours of a number occur as
// often as it is near, wherever between them it lies.
TEST(ByteGradientTest, RoundingIsUnbiased) {
  Draw d;
  d.shape.height = 100, d.shape.width = 1000;
  d.range = {-1, 1, 1};
  d.weights = {1}, d.scales = {1};
  d.codes.resize(d.shape.in());
  Random random(9, 10);
  for (const double share : {0.01, 0.25, 0.5, 0.9}) {
    std::vector<float> gradient(d.shape.in());
    for (float& value : gradient) {
      value = static_cast<float>(static_cast<double>(random.below(200) - 100) + share +
                                 random.between(-0.005, 0.005));
    }
    gradient[0] = 127;  // a step is 1
    const Gradients found = by_bytes(d, gradient);
    double total = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const float error = found.x[i] - gradient[i];
      ASSERT_EQ(found.x[i], std::round(found.x[i]));
      ASSERT_LT(std::fabs(error), 1);
      total += error;
    }
    const auto count = static_cast<double>(gradient.size());
    EXPECT_LT(std::fabs(total / count), 4 * std::sqrt(share * (1 - share) / count)) << share;
  }
}

TEST(ByteConvolutionTest, WhatBytesDontHoldIsRefused) {
  ByteShape shape;
  shape.channels = 64;
  EXPECT_FALSE(bytes_convolve(shape, {-200, 200, 1}));
  EXPECT_FALSE(bytes_convolve(shape, {-128, 127, 127}));  // two products leave int16
  EXPECT_FALSE(bytes_convolve(shape, {1, 2, 1}));         // 0 isn't a byte
  EXPECT_TRUE(bytes_convolve(shape, {-128, 127, 63}));
  EXPECT_FALSE(bytes_reach_weights(shape, {-128, 127, 1}, 1));
  EXPECT_TRUE(bytes_reach_weights(shape, {0, 127, 1}, 1));
  EXPECT_FALSE(bytes_reach_weights(shape, {0, 127, 1}, int64_t{1} << 40));
  shape.height = shape.width = 4096;  // addresses leave int32
  EXPECT_FALSE(bytes_convolve(shape, {-1, 1, 1}));
  shape.height = shape.width = 1;
  shape.padding_width = 1;
  EXPECT_FALSE(bytes_reach_operand(shape, {-1, 1, 1}));
}

struct LinearDraw {
  LinearShape shape;
  ByteRange range;
  int64_t samples = 1;
  std::vector<int8_t> codes, weights;
};

LinearDraw draw_linear(Random& random) {
  LinearDraw d;
  d.shape = {integer(random, 1, 90), integer(random, 1, 70)};
  d.samples = integer(random, 1, 150);
  const std::vector<ByteRange> ranges = {{-1, 1, 1}, {0, 3, 1}, {-7, 7, 7}, {-64, 63, 1}};
  d.range = ranges[random.below(std::ssize(ranges))];
  for (int64_t i = 0; i < d.samples * d.shape.columns; ++i) {
    d.codes.push_back(static_cast<int8_t>(integer(random, d.range.lowest, d.range.highest)));
  }
  for (int64_t i = 0; i < d.shape.rows * d.shape.columns; ++i) {
    d.weights.push_back(static_cast<int8_t>(integer(random, -d.range.weight, d.range.weight)));
  }
  return d;
}

TEST(ByteLinearTest, EqualsSumsWrittenOut) {
  Random random(11, 12);
  for (int round = 0; round < 60; ++round) {
    const LinearDraw d = draw_linear(random);
    const auto& [columns, rows] = d.shape;
    ASSERT_TRUE(bytes_multiply(d.shape, d.range));
    std::vector<float> scales;
    for (int64_t r = 0; r < rows; ++r) scales.push_back(std::ldexp(1.0F, static_cast<int>(r % 5)));
    std::vector<float> out(d.samples * rows);
    ByteLinear(d.shape, d.range, d.weights.data(), scales.data(), 0.5F)
        .run(d.codes.data(), out.data(), d.samples);
    for (int64_t i = 0; i < d.samples; ++i) {
      for (int64_t r = 0; r < rows; ++r) {
        int64_t sum = 0;
        for (int64_t c = 0; c < columns; ++c) {
          sum += d.codes[i * columns + c] * d.weights[r * columns + c];
        }
        ASSERT_EQ(out[i * rows + r], static_cast<float>(sum) * scales[r] * 0.5F);
      }
    }
  }
}

// Gradients of whole steps, the most in each sample and each row, and any others.
TEST(ByteLinearTest, GradientsAreThoseWrittenOut) {
  Random random(13, 14);
  for (int round = 0; round < 60; ++round) {
    const LinearDraw d = draw_linear(random);
    const auto& [columns, rows] = d.shape;
    const bool whole = round % 2 == 0;
    ASSERT_TRUE(bytes_reach_operand(d.shape, d.range));
    ASSERT_TRUE(bytes_reach_weights(d.shape, d.range, d.samples));
    std::vector<float> gradient;
    for (int64_t i = 0; i < d.samples * rows; ++i) {
      const bool most = i % rows == 0 || i < rows;
      gradient.push_back(most    ? 127
                         : whole ? static_cast<float>(integer(random, -127, 127))
                                 : static_cast<float>(random.between(-127, 127)));
    }
    std::vector<float> to_x(d.samples * columns), to_weights(rows * columns);
    const std::vector<float> scales(rows, 0.5F);
    ByteLinearOperandGradient(d.shape, d.range, d.weights.data(), scales.data())
        .run(gradient.data(), to_x.data(), d.samples);
    const ByteLinearWeightGradient of(d.shape, d.range, d.codes.data(), gradient.data(), d.samples,
                                      0.25F);
    const int64_t middle = rows / 8 * 4;
    of.run(to_weights.data(), middle, rows);
    of.run(to_weights.data(), 0, middle);
    std::vector<double> x(to_x.size()), x_squares(to_x.size());
    std::vector<double> weights(to_weights.size()), weight_squares(to_weights.size());
    for (int64_t i = 0; i < d.samples; ++i) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const double g = gradient[i * rows + r];
          const double weight = 0.5 * d.weights[r * columns + c];
          const double code = 0.25 * d.codes[i * columns + c];
          x[i * columns + c] += g * weight;
          x_squares[i * columns + c] += weight * weight;
          weights[r * columns + c] += g * code;
          weight_squares[r * columns + c] += code * code;
        }
      }
    }
    const double step = whole ? 0 : 1;
    expect_near(to_x, x, x_squares, step);
    expect_near(to_weights, weights, weight_squares, step);
  }
}

// As in a graph, whatever the number of threads.
TEST(ByteLayerTest, LayersAndTheirGradientsAreThoseOfTorch) {
  const int threads = at::get_num_threads();
  for (const int axes : {0, 1, 2}) {
    torch::manual_seed(1);
    std::vector<int64_t> in = {6, 5}, shape = {7, 5};
    const std::vector<int64_t> padding = {1, 0};
    if (axes >= 1) in.push_back(9), shape.push_back(3);
    if (axes == 2) in.push_back(8), shape.push_back(2);
    const torch::IntArrayRef of_axes(padding.data(), axes);
    const auto leaf = [](const torch::Tensor& values) {
      return values.detach().clone().requires_grad_(true);
    };
    const torch::Tensor codes = torch::randint(-1, 2, in) * 0.5F;
    const torch::Tensor weights = torch::randint(-3, 4, shape) * 0.25F;
    const torch::Tensor x = leaf(codes), w = leaf(weights);
    const torch::Tensor y = axes == 0   ? x.mm(w.t())
                            : axes == 1 ? torch::conv1d(x, w, {}, 1, of_axes)
                                        : torch::conv2d(x, w, {}, 1, of_axes);
    const torch::Tensor slope = torch::randint(-127, 128, y.sizes()) / 64.0F;
    (y * slope).sum().backward();
    std::vector<torch::Tensor> rounded;
    for (const bool round : {false, true}) {
      for (const int some : {1, 2}) {
        at::set_num_threads(some);
        const torch::Tensor bx = leaf(codes), bw = leaf(weights);
        const ByteOperand operand{bx, {-1, 1, 3}, 0.5F};
        const ByteWeights of_weights{bw, torch::full({7}, 0.25F)};
        const torch::Tensor by = axes == 0 ? multiply(operand, of_weights, round)
                                           : convolve(operand, of_weights, of_axes, round);
        EXPECT_TRUE(torch::equal(by, y));
        (by * slope).sum().backward();
        const double near = round ? 0.05 : 1e-5;
        EXPECT_TRUE(torch::allclose(bx.grad(), x.grad(), 0, near * 8)) << axes;
        EXPECT_TRUE(torch::allclose(bw.grad(), w.grad(), 0, near * 40)) << axes;
        if (round) rounded.push_back(bx.grad()), rounded.push_back(bw.grad());
      }
    }
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(rounded[0], rounded[2]));
    EXPECT_TRUE(torch::equal(rounded[1], rounded[3]));
  }
}

// libtorch's loops are on one thread in whatever is compiled without OpenMP, and say nothing.
TEST(ByteLayerTest, LoopsRunOnAllThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  std::vector<std::thread::id> ids(3);
  at::parallel_for(0, 3, 1,
                   [&](int64_t begin, int64_t) { ids[begin] = std::this_thread::get_id(); });
  at::set_num_threads(threads);
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_NE(ids[1], ids[2]);
}

}  // namespace
}  // namespace foldstream::train
