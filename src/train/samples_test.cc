// SPDX-License-Identifier: Apache-2.0
#include "src/train/samples.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace foldstream::train
