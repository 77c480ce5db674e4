// SPDX-License-Identifier: Apache-2.0
#include "src/arith/coding.h"

#include <gtest/gtest.h>

namespace foldstream::arith {
namespace {

TEST(ArithType, WordsAndValuesAreInverse) {
  for (const Type& type :
       {Type{Coding::kUnsigned, 3}, Type{Coding::kSigned, 4}, Type{Coding::kSigned, 1},
        Type{Coding::kBipolar, 1}, Type{Coding::kTernary, 2}}) {
    for (std::int64_t value = type.minimum(); value <= type.maximum(); ++value) {
      if (type.holds(value)) {
        EXPECT_EQ(type.decode(type.encode(value)), value) << type.text();
      }
    }
  }
}

TEST(ArithType, Ranges) {
  EXPECT_EQ((Type{Coding::kSigned, 2}).minimum(), -2);
  EXPECT_EQ((Type{Coding::kUnsigned, 2}).maximum(), 3);
  EXPECT_FALSE((Type{Coding::kBipolar, 1}).holds(0));
  EXPECT_TRUE((Type{Coding::kTernary, 2}).holds(0));
}

}  // namespace
}  // namespace foldstream::arith
