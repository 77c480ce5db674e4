// SPDX-License-Identifier: Apache-2.0
#include "src/train/samples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace foldstream::train {
namespace {

constexpr int64_t kChannels = 2, kHeight = 4, kWidth = 5, kShift = 2;

// `from` with its pixels `down` and `right` of where they were, after a flip; outside is 0.
std::vector<float> moved(const std::vector<uint8_t>& from, int64_t down, int64_t right, bool flip) {
  std::vector<float> to;
  for (int64_t c = 0; c < kChannels; ++c) {
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) {
        const int64_t row = y - down;
        const int64_t column = flip ? kWidth - 1 - (x - right) : x - right;
        const bool inside = row >= 0 && row < kHeight && column >= 0 && column < kWidth;
        const size_t at = inside ? (c * kHeight + row) * kWidth + column : 0;
        to.push_back(inside ? static_cast<float>(from[at]) / 255 : 0);
      }
    }
  }
  return to;
}

TEST(SamplesTest, ImagesAreShiftedAndFlippedEveryWay) {
  DataSet data;
  data.count = 1;
  data.shape = {kChannels, kHeight, kWidth};
  for (int64_t i = 0; i < kChannels * kHeight * kWidth; ++i) {
    data.bytes.push_back(static_cast<uint8_t>(1 + i * 6));  // no two alike
  }
  std::map<std::vector<float>, int64_t> times;
  for (int64_t down = -kShift; down <= kShift; ++down) {
    for (int64_t right = -kShift; right <= kShift; ++right) {
      for (const bool flip : {false, true}) times[moved(data.bytes, down, right, flip)] = 0;
    }
  }
  ASSERT_EQ(times.size(), 50U);
  Augmentation augment;
  augment.shift = kShift;
  augment.flip = true;
  Random random(1, 1);
  const std::vector<int64_t> indices(1000, 0);
  const size_t size = data.bytes.size();
  std::vector<float> out(indices.size() * size);
  fill_batch(data, indices, 255, &augment, random, out.data());
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto begin = out.begin() + static_cast<ptrdiff_t>(i * size);
    const auto found = times.find({begin, begin + static_cast<ptrdiff_t>(size)});
    ASSERT_NE(found, times.end()) << i;
    ++found->second;
  }
  for (const auto& [image, count] : times) EXPECT_GT(count, 0);
}

// Splines with the same number at every point are that number everywhere; a point moves nothing
// beyond two cells from it.
TEST(SamplesTest, AWarpIsSmoothAndLocal) {
  for (const int64_t size : {4, 9, 28}) {
    const std::vector<float> shares = warp_shares(size);
    ASSERT_EQ(shares.size(), static_cast<size_t>(size * kWarpPoints));
    for (int64_t i = 0; i < size; ++i) {
      const double at = (static_cast<double>(i) + 0.5) * kWarpCells / static_cast<double>(size);
      double sum = 0, mean = 0;
      for (int64_t k = 0; k < kWarpPoints; ++k) {
        const double share = shares[i * kWarpPoints + k], point = static_cast<double>(k) - 1;
        EXPECT_GE(share, 0);
        if (std::abs(point - at) >= 2) {
          EXPECT_EQ(share, 0) << size << " " << i << " " << k;
        }
        sum += share;
        mean += share * point;
      }
      EXPECT_NEAR(sum, 1, 1e-6);
      EXPECT_NEAR(mean, at, 1e-5);  // points in a line give a line
    }
  }
}

// A ramp shows where its pixels were read: within `warp` of their own place, not all alike, and
// neighbours near each other.
TEST(SamplesTest, AWarpMovesPixelsUpToItsLimit) {
  constexpr int64_t kSize = 28, kImages = 50;
  constexpr double kWarp = 3;
  DataSet data;
  data.count = 1;
  data.shape = {1, kSize, kSize};
  for (int64_t i = 0; i < kSize * kSize; ++i) {
    data.floats.push_back(static_cast<float>(100 + i % kSize));
  }
  Augmentation augment;
  augment.warp = kWarp;
  Random random(2, 1);
  const std::vector<int64_t> indices(kImages, 0);
  std::vector<float> out(kImages * kSize * kSize);
  fill_batch(data, indices, 1, &augment, random, out.data());
  double farthest = 0;
  for (int64_t i = 0; i < kImages; ++i) {
    for (int64_t y = 4; y < kSize - 4; ++y) {
      double before = 0;
      for (int64_t x = 4; x < kSize - 4; ++x) {
        const double moved = out[(i * kSize + y) * kSize + x] - static_cast<float>(100 + x);
        EXPECT_LE(std::abs(moved), kWarp + 1e-4);
        if (x > 4) {
          EXPECT_LE(std::abs(moved - before), 1.0);
        }
        before = moved;
        farthest = std::max(farthest, std::abs(moved));
      }
    }
  }
  EXPECT_GT(farthest, kWarp / 2);
}

}  // namespace
}  // namespace foldstream::train
