// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/beats.h"

#include <gtest/gtest.h>

#include <random>

namespace foldstream {
namespace {

TEST(Beats, PutElementZeroInTheLowBits) {
  const Tensor tensor = make_ints(integer_type(4, true, {6}), {1, -1, 2, -2, 3, -8});
  std::vector<uint32_t> words;
  pack_beats(tensor, {.lanes = 3, .bits = 4, .beats = 2}, words);
  EXPECT_EQ(words, (std::vector<uint32_t>{0x2f1, 0x83e}));
}

TEST(Beats, RoundTripAtEveryWidth) {
  std::mt19937_64 random(1);
  for (int bits = 1; bits <= 64; ++bits) {
    for (const bool is_signed : {false, true}) {
      if (bits == 64 && !is_signed) continue;  // the tensor holds signed 64-bit integers
      for (const int64_t lanes : {1, 3, 7}) {
        Tensor tensor = make_zero(integer_type(bits, is_signed, {4, lanes}));
        for (int64_t& value : tensor.ints) {
          value = static_cast<int64_t>(random());
          if (bits < 64) {
            value = is_signed ? value >> (64 - bits)
                              : static_cast<int64_t>(static_cast<uint64_t>(value) >> (64 - bits));
          }
        }
        const Stream stream{.lanes = lanes, .bits = bits, .beats = 4};
        std::vector<uint32_t> words;
        pack_beats(tensor, stream, words);
        EXPECT_EQ(unpack_beats(words, stream, tensor.type), tensor) << bits << " x " << lanes;
      }
    }
  }
}

}  // namespace
}  // namespace foldstream
