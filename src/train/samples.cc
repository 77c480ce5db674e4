// SPDX-License-Identifier: Apache-2.0
#include "src/train/samples.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "src/util/error.h"

namespace foldstream::train {
namespace {

// Planes of one image, changed.
class Mover {
 public:
  Mover(const Change& change, int64_t height, int64_t width)
      : change_(change), height_(height), width_(width) {}

  void apply(const float* from, float* to) const {
    if (change_.whole) return move(from, to);
    const float centre_y = static_cast<float>(height_ - 1) / 2;
    const float centre_x = static_cast<float>(width_ - 1) / 2;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        const float v = static_cast<float>(y - change_.down) - centre_y;
        const float u = static_cast<float>(x - change_.right) - centre_x;
        const float at_y = change_.yy * v + change_.yx * u + centre_y;
        const float at_x = change_.xy * v + change_.xx * u + centre_x;
        *to++ = interpolate(from, at_y, at_x);
      }
    }
  }

 private:
  void move(const float* from, float* to) const {
    const int64_t right = change_.right;
    const int64_t first = std::clamp<int64_t>(right, 0, width_);
    const int64_t last = std::clamp<int64_t>(width_ + right, first, width_);
    for (int64_t y = 0; y < height_; ++y, to += width_) {
      const int64_t row = y - change_.down;
      std::fill(to, to + width_, 0.0F);
      if (row < 0 || row >= height_) continue;
      const float* source = from + row * width_;
      if (change_.flip) {
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

  const Change& change_;
  const int64_t height_, width_;
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
    if (changed) {
      const int64_t height = data.shape[1], width = data.shape[2];
      const Change change(*augment, random);
      const Mover mover(change, height, width);
      for (int64_t c = 0; c < data.shape[0]; ++c) {
        mover.apply(to + c * height * width, out + c * height * width);
      }
    }
    out += elements;
  }
}

}  // namespace foldstream::train
