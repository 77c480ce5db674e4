// SPDX-License-Identifier: Apache-2.0
#include "src/train/samples.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "src/util/error.h"

namespace foldstream::train {
namespace {

// How far a warp moves the places of images of one size.
class Warp {
 public:
  Warp(int64_t height, int64_t width)
      : height_(height), width_(width), down_(warp_shares(height)), across_(warp_shares(width)) {}

  // By points [kWarpPoints, kWarpPoints], into `to` [height, width].
  void spread(const float* points, float* to) const {
    for (int64_t y = 0; y < height_; ++y) {
      std::array<float, kWarpPoints> line = {};
      for (int64_t i = 0; i < kWarpPoints; ++i) {
        const float share = down_[y * kWarpPoints + i];
        for (int64_t j = 0; j < kWarpPoints; ++j) line[j] += share * points[i * kWarpPoints + j];
      }
      for (int64_t x = 0; x < width_; ++x) {
        float sum = 0;
        for (int64_t j = 0; j < kWarpPoints; ++j) sum += across_[x * kWarpPoints + j] * line[j];
        *to++ = sum;
      }
    }
  }

 private:
  const int64_t height_, width_;
  const std::vector<float> down_, across_;
};

// Planes of images of one size, changed.
class Mover {
 public:
  Mover(int64_t height, int64_t width) : height_(height), width_(width), warp_(height, width) {}

  void apply(const Change& change, int64_t planes, const float* from, float* to) {
    const int64_t plane = height_ * width_;
    const int64_t points = static_cast<int64_t>(change.warp.size()) / 2;
    if (points > 0) {
      warped_y_.resize(plane);
      warped_x_.resize(plane);
      warp_.spread(change.warp.data(), warped_y_.data());
      warp_.spread(change.warp.data() + points, warped_x_.data());
    }
    for (int64_t i = 0; i < planes; ++i, from += plane, to += plane) {
      if (change.whole) {
        move(change, from, to);
      } else {
        turn(change, from, to);
      }
    }
  }

 private:
  void turn(const Change& change, const float* from, float* to) const {
    const float centre_y = static_cast<float>(height_ - 1) / 2;
    const float centre_x = static_cast<float>(width_ - 1) / 2;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        const float v = static_cast<float>(y - change.down) - centre_y;
        const float u = static_cast<float>(x - change.right) - centre_x;
        float at_y = change.yy * v + change.yx * u + centre_y;
        float at_x = change.xy * v + change.xx * u + centre_x;
        if (!change.warp.empty()) {
          at_y += warped_y_[y * width_ + x];
          at_x += warped_x_[y * width_ + x];
        }
        *to++ = interpolate(from, at_y, at_x);
      }
    }
  }

  void move(const Change& change, const float* from, float* to) const {
    const int64_t right = change.right;
    const int64_t first = std::clamp<int64_t>(right, 0, width_);
    const int64_t last = std::clamp<int64_t>(width_ + right, first, width_);
    for (int64_t y = 0; y < height_; ++y, to += width_) {
      const int64_t row = y - change.down;
      std::fill(to, to + width_, 0.0F);
      if (row < 0 || row >= height_) continue;
      const float* source = from + row * width_;
      if (change.flip) {
        const float* end = source + width_ + right;
        std::reverse_copy(end - last, end - first, to + first);
      } else {
        std::copy(source + first - right, source + last - right, to + first);
      }
    }
  }

  float interpolate(const float* from, float y, float x) const {
    const auto fh = static_cast<float>(height_), fw = static_cast<float>(width_);
    if (!(y > -1 && y < fh && x > -1 && x < fw)) return 0;
    const auto row = static_cast<int64_t>(y + 1) - 1, column = static_cast<int64_t>(x + 1) - 1;
    const float fy = y - static_cast<float>(row), fx = x - static_cast<float>(column);
    const auto at = [&](int64_t r, int64_t c) {
      return r >= 0 && r < height_ && c >= 0 && c < width_ ? from[r * width_ + c] : 0.0F;
    };
    const float top = at(row, column) * (1 - fx) + at(row, column + 1) * fx;
    const float bottom = at(row + 1, column) * (1 - fx) + at(row + 1, column + 1) * fx;
    return top * (1 - fy) + bottom * fy;
  }

  const int64_t height_, width_;
  const Warp warp_;
  std::vector<float> warped_y_, warped_x_;  // of the change that is applied
};

}  // namespace

Change::Change(const Augmentation& augment, Random& random) : whole(augment.whole_pixels()) {
  constexpr double kDegree = std::numbers::pi / 180;
  const double angle = random.between(-augment.rotate, augment.rotate) * kDegree;
  const double zoom_y = 1 + random.between(-augment.zoom, augment.zoom);
  const double zoom_x = 1 + random.between(-augment.zoom, augment.zoom);
  const double slant = random.between(-augment.shear, augment.shear);
  flip = augment.flip && random.below(2) == 1;
  down = random.below(2 * augment.shift + 1) - augment.shift;
  right = random.below(2 * augment.shift + 1) - augment.shift;
  const double sine = std::sin(angle), cosine = std::cos(angle), mirror = flip ? -1 : 1;
  yy = static_cast<float>(cosine * zoom_y);
  yx = static_cast<float>(mirror * (sine * zoom_y));
  xy = static_cast<float>((slant * cosine - sine) * zoom_x);
  xx = static_cast<float>(mirror * (cosine + slant * sine) * zoom_x);
  if (augment.warp == 0) return;
  warp.resize(2 * kWarpPoints * kWarpPoints);
  for (float& point : warp) {
    point = static_cast<float>(random.between(-augment.warp, augment.warp));
  }
}

std::vector<float> warp_shares(int64_t size) {
  std::vector<float> shares(size * kWarpPoints, 0.0F);
  for (int64_t i = 0; i < size; ++i) {
    const double at = (static_cast<double>(i) + 0.5) * kWarpCells / static_cast<double>(size);
    const auto cell = static_cast<int64_t>(at);
    const double t = at - static_cast<double>(cell), s = 1 - t;
    const std::array<double, 4> spline = {s * s * s / 6, (3 * t * t * t - 6 * t * t + 4) / 6,
                                          (3 * s * s * s - 6 * s * s + 4) / 6, t * t * t / 6};
    for (int64_t k = 0; k < 4; ++k) {
      shares[i * kWarpPoints + cell + k] = static_cast<float>(spline[k]);
    }
  }
  return shares;
}

Random::Random(uint64_t seed, uint64_t stream) : state_(seed * 0x9E3779B97F4A7C15U) {
  state_ = next() ^ (stream * 0xD1342543DE82EF95U);
  next();
}

uint64_t Random::next() {
  state_ += 0x9E3779B97F4A7C15U;
  uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

double Random::uniform() { return static_cast<double>(next() >> 11U) * 0x1p-53; }

int64_t Random::below(int64_t count) {
  return static_cast<int64_t>(uniform() * static_cast<double>(count));
}

std::vector<int64_t> shuffled(int64_t count, Random& random) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

void fill_batch(const DataSet& data, std::span<const int64_t> indices, float divisor,
                const Augmentation* augment, Random& random, float* out) {
  const int64_t elements = element_count(data.shape);
  const bool changed = augment != nullptr && augment->any();
  std::vector<float> sample(changed ? elements : 0);
  std::optional<Mover> mover;
  if (changed) mover.emplace(data.shape[1], data.shape[2]);
  for (const int64_t index : indices) {
    FOLDSTREAM_CHECK(index >= 0 && index < data.count);
    float* const to = changed ? sample.data() : out;
    if (data.bytes.empty()) {
      const float* from = data.floats.data() + index * elements;
      for (int64_t i = 0; i < elements; ++i) to[i] = from[i] / divisor;
    } else {
      const uint8_t* from = data.bytes.data() + index * elements;
      for (int64_t i = 0; i < elements; ++i) to[i] = static_cast<float>(from[i]) / divisor;
    }
    if (changed) mover->apply(Change(*augment, random), data.shape[0], to, out);
    out += elements;
  }
}

}  // namespace foldstream::train
