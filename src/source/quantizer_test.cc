// SPDX-License-Identifier: Apache-2.0
#include "src/source/quantizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/util/error.h"

namespace foldstream {
namespace {

TEST(Rounding, TiesAndSigns) {
  const std::vector<float> x = {-2.5F, -1.5F, -1.2F, -0.5F, 0.5F, 1.2F, 1.5F, 2.5F};
  const auto rounded = [&](std::string_view mode) {
    std::vector<float> y;
    for (const float v : x) y.push_back(round_to_integer(v, parse_rounding(mode)));
    return y;
  };
  using Floats = std::vector<float>;
  EXPECT_EQ(rounded("ROUND"), (Floats{-2, -2, -1, 0, 0, 1, 2, 2}));
  EXPECT_EQ(rounded("half_even"), rounded("ROUND"));
  EXPECT_EQ(rounded("CEIL"), (Floats{-2, -1, -1, 0, 1, 2, 2, 3}));
  EXPECT_EQ(rounded("FLOOR"), (Floats{-3, -2, -2, -1, 0, 1, 1, 2}));
  EXPECT_EQ(rounded("UP"), (Floats{-3, -2, -2, -1, 1, 2, 2, 3}));
  EXPECT_EQ(rounded("DOWN"), (Floats{-2, -1, -1, 0, 0, 1, 1, 2}));
  EXPECT_EQ(rounded("HALF_UP"), (Floats{-3, -2, -1, -1, 1, 1, 2, 3}));
  EXPECT_EQ(rounded("HALF_DOWN"), (Floats{-2, -1, -1, 0, 0, 1, 1, 2}));
  EXPECT_THROW(parse_rounding("NEAREST"), Error);
}

TEST(Rounding, AddsTheHalfInFloat32AsTheReferenceDoes) {
  // The largest float below one half: its sum with one half rounds to one.
  EXPECT_EQ(round_to_integer(std::nextafter(0.5F, 0.0F), Rounding::half_up), 1.0F);
}

TEST(Coding, ClipsBeforeItRounds) {
  Coding coding;
  coding.scale = {0.5F};
  coding.zero = {1.0F};
  coding.bits = 2;
  EXPECT_EQ(coding.lowest(), 0);
  EXPECT_EQ(coding.highest(), 3);
  EXPECT_EQ(coding.code(-10, 0), 0);
  EXPECT_EQ(coding.code(0.25F, 0), 2);  // 1.5 to even
  EXPECT_EQ(coding.code(0.75F, 0), 2);  // 2.5 to even
  EXPECT_EQ(coding.code(1e30F, 0), 3);
  EXPECT_EQ(coding.code(std::nanf(""), 0), 0);
}

TEST(Coding, CountsThresholdsPerChannel) {
  Coding coding;
  coding.thresholds = {{-1, 0, 2}, {5, 5, 5}};
  EXPECT_EQ(coding.highest(), 3);
  EXPECT_EQ(coding.code(0, 0), 2);
  EXPECT_EQ(coding.code(-0.0F, 0), 2);
  EXPECT_EQ(coding.code(4.5F, 1), 0);
  EXPECT_EQ(coding.code(5, 1), 3);
}

TEST(Coding, EndsAreThoseOfTheReference) {
  EXPECT_EQ(lowest_code(8, true, true), -127);
  EXPECT_EQ(lowest_code(8, true, false), -128);
  EXPECT_EQ(highest_code(8, false, true), 254);
  EXPECT_EQ(highest_code(8, false, false), 255);
  EXPECT_EQ(highest_code(32, true, false), 0x1p31F);  // as float32 has it
}

}  // namespace
}  // namespace foldstream
